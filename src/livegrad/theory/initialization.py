"""The usual initializations, as the two numbers that theory needs: weight gain and bias variance.

weight gain   σ_w = √(fan-in · Var W)      what a layer does to the root mean square of what it is given,
                                           and to the norm of the gradient it passes back
bias variance σ_b² = Var b
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from livegrad.theory.activation import Activation, gain
from livegrad.theory.critical_point import critical_point
from livegrad.theory.length_map import gain_holds_length


@dataclass(frozen=True)
class Initialization:
    """How weights and biases are drawn: σ_w, σ_b² and who says so."""

    name: str
    weight_gain: float
    bias_variance: float = 0.0
    source: str = ""


def _torch_default(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    # kaiming_uniform_(a=√5): Var W = 1/(3 fan-in), and the bias from the same interval.
    return Initialization("torch default", sqrt(1 / 3), 1 / (3 * fan_in), "torch.nn.Linear.reset_parameters")


def _xavier(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    return Initialization("xavier", sqrt(2 * fan_in / (fan_in + fan_out)), 0.0, "Glorot & Bengio 2010")


def _he(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    return Initialization("he", sqrt(2), 0.0, "He et al. 2015")


def _lecun(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    return Initialization("lecun", 1.0, 0.0, "LeCun et al. 1998")


def _orthogonal(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    # Rows are orthonormal if there are fewer of them than columns, else columns are.
    return Initialization("orthogonal", sqrt(fan_in / max(fan_in, fan_out)), 0.0, "Saxe et al. 2014")


def _own_gain(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    return Initialization("own gain", gain(activation), 0.0, "(E φ²)^-½")


def _critical(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    point = critical_point(activation)
    if point is None:
        raise ValueError(f"no critical initialization exists for {activation}")
    return Initialization(
        "critical", sqrt(point.weight_variance), point.bias_variance, "Schoenholz et al. 2017"
    )


def _recommended(fan_in: int, fan_out: int, activation: str | Activation) -> Initialization:
    own = _own_gain(fan_in, fan_out, activation)
    return own if gain_holds_length(activation) else _critical(fan_in, fan_out, activation)


INITIALIZATIONS: dict[str, Callable[[int, int, str | Activation], Initialization]] = {
    "torch default": _torch_default,
    "xavier": _xavier,
    "he": _he,
    "lecun": _lecun,
    "orthogonal": _orthogonal,
    "own gain": _own_gain,
    "critical": _critical,
    "recommended": _recommended,
}


def initialization(
    name: str, fan_in: int, fan_out: int | None = None, activation: str | Activation = "ReLU"
) -> Initialization:
    """Return what the initialization `name` (a key of INITIALIZATIONS) gives a layer of these fans.

    fan_in, fan_out: inputs and outputs of a unit, times the kernel's size for a convolution; square if only
    one is given. activation: used by "own gain", "critical" and "recommended", which fit it; the last is the
    own gain where lengths hold at it (see gain_holds_length), else the critical point. Raises KeyError for an
    unknown name and ValueError where an activation has no critical point.
    """
    return INITIALIZATIONS[name](fan_in, fan_in if fan_out is None else fan_out, activation)
