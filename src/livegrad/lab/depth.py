"""The gradient over depth, for each activation at the weights that theory recommends for it."""

from livegrad.lab.experiment import Progress, Result, Settings
from livegrad.lab.over_depth import WIDTH, compared
from livegrad.theory.initialization import initialization
from livegrad.theory.propagation import Design

_SHOWN = ("Sigmoid", "Softplus", "Tanh", "ReLU", "SELU", "GELU", "SiLU")


def run(settings: Settings, progress: Progress) -> Result:
    """Measure each activation at its own gain, or at its critical point where no gain holds a length."""
    found = [(name, initialization("recommended", WIDTH, WIDTH, name)) for name in _SHOWN]
    designs = [(name, Design(name, f.weight_gain, f.bias_variance)) for name, f in found]
    return compared(designs, "activation", settings, progress)
