"""The gradient over depth under each normalization."""

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.over_depth import compared
from livegrad.theory.propagation import Design

_SHOWN = (
    ("Sigmoid", "none"),
    ("Sigmoid", "layer"),
    ("Sigmoid", "batch"),
    ("ReLU", "none"),
    ("ReLU", "layer"),
    ("ReLU", "batch"),
)


def run(settings: Settings, progress: Progress) -> Result:
    """Measure sigmoid and ReLU with none, LayerNorm and BatchNorm: LayerNorm does not cure a sigmoid,
    BatchNorm does, and makes a deep ReLU net explode.
    """
    names = {"none": "alone", "layer": "LayerNorm", "batch": "BatchNorm"}
    designs = [(f"{a}, {names[n]}", Design(a, normalization=n)) for a, n in _SHOWN]
    return compared(designs, "normalization", settings, progress)
