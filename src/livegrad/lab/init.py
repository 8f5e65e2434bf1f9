"""The gradient over depth, for each initialization."""

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.over_depth import WIDTH, compared
from livegrad.theory.initialization import initialization
from livegrad.theory.propagation import Design

_SHOWN = (
    ("ReLU", "torch default"), ("ReLU", "xavier"), ("ReLU", "he"),
    ("Tanh", "torch default"), ("Tanh", "xavier"), ("Tanh", "own gain"), ("Tanh", "critical"),
)  # fmt: skip


def run(settings: Settings, progress: Progress) -> Result:
    """Measure ReLU and tanh under the usual draws of their weights."""
    designs = []
    for activation, name in _SHOWN:
        found = initialization(name, WIDTH, WIDTH, activation)
        designs.append((f"{activation}, {name}", Design(activation, found.weight_gain, found.bias_variance)))
    return compared(designs, "initialization", settings, progress)
