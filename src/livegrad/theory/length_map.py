"""The length map: how the mean square q of a wide layer's pre-activations goes from layer to layer.

    V(q) = σ_w² E φ(√q z)² + σ_b²        z ~ N(0, 1)
(Poole et al. 2016.) σ_w² = fan-in · Var W, σ_b² = Var b.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from livegrad.theory.activation import Activation, gain, moments, named
from livegrad.theory.gaussian import expect
from livegrad.theory.roots import scan

# Lengths are looked for between these; a net that leaves them overflows or is exactly linear.
SHORTEST, LONGEST = 1e-10, 1e8
_EQUAL = 1e-9


@dataclass(frozen=True)
class FixedLength:
    """A fixed point q of the length map, χ_q = V'(q) there, and whether lengths nearby go to it.

    stability: "stable" (|χ_q| < 1), "unstable" (> 1), or "neutral" (= 1).
    """

    length: float
    slope: float

    @property
    def stability(self) -> str:
        """Say whether lengths nearby go to this one."""
        if abs(abs(self.slope) - 1) < 1e-6:
            return "neutral"
        return "stable" if abs(self.slope) < 1 else "unstable"

    @property
    def depth_scale(self) -> float:
        """ξ_q = −1/ln|χ_q|: layers over which a deviation shrinks by e; infinite if it does not."""
        return decay_depth(self.slope)


def decay_depth(factor: float) -> float:
    """Return −1/ln|factor|, the layers in which a deviation shrinks by e; 0 for factor 0, ∞ from 1 on."""
    size = abs(factor)
    if size == 0:
        return 0.0
    return float(-1 / np.log(size)) if size < 1 else float("inf")


def length_map(
    activation: str | Activation, length: float, weight_variance: float, bias_variance: float = 0.0
) -> float:
    """Return V(q) = σ_w² E φ(√q z)² + σ_b² for q = `length`."""
    return weight_variance * moments(activation, float(length))[1] + bias_variance


def length_slope(activation: str | Activation, length: float, weight_variance: float) -> float:
    """Return χ_q = V'(q) = σ_w² E[φ(√q z) φ'(√q z) z] / √q, which needs no second derivative of φ.

    At q = 0 its limit, read at q = 1e-10.
    """
    phi, scale = named(activation), float(np.sqrt(max(length, SHORTEST)))
    product = expect(lambda x: phi.function(x) * phi.slope(x) * x, phi.kinks, scale)
    return weight_variance * product / scale**2


@lru_cache(maxsize=512)
def fixed_lengths(
    activation: str | Activation, weight_variance: float, bias_variance: float = 0.0
) -> tuple[FixedLength, ...]:
    """Return the fixed points of the length map in [1e-10, 1e8] and 0 if it is one, ascending.

    If every length is kept (ReLU at σ_w² = 2, σ_b² = 0), the one point q = 1 with slope 1 stands for all. A
    point where V only touches the diagonal is not found here; see `half_stable_point`.
    """

    def excess(q: float) -> float:
        return length_map(activation, q, weight_variance, bias_variance) - q

    grid = np.logspace(np.log10(SHORTEST), np.log10(LONGEST), 145)
    if all(abs(excess(float(q))) < _EQUAL * q for q in (1e-4, 1.0, 1e4)):
        return (FixedLength(1.0, 1.0),)
    starts = [0.0] if length_map(activation, 0.0, weight_variance, bias_variance) == 0 else []
    points = [*starts, *scan(excess, grid)]
    return tuple(FixedLength(q, length_slope(activation, q, weight_variance)) for q in points)


def gain_holds_length(activation: str | Activation) -> bool:
    """True if a deep stack at the activation's own gain stays near q = 1: χ_q ≤ 1 there.

    Not so for GELU (χ_q = 1.144), SiLU (1.173), Mish (1.076) and Hardswish (1.224): a length off by a
    little, as finite width makes it, is off by χ_q^L after L layers, and the stack ends at 0 or grows without
    bound.
    """
    return length_slope(activation, 1.0, gain(activation) ** 2) <= 1 + 1e-6


def limit_length(
    activation: str | Activation,
    weight_variance: float,
    bias_variance: float = 0.0,
    start: float = 1.0,
    layers: int = 20_000,
) -> float:
    """Return the length that a deep stack settles at from q₀ = `start`: a fixed point, 0, or inf if it grows
    past 1e8.

    The map is iterated until it lies within 1e-3 of a stable fixed point, or for `layers` layers.
    """
    points = fixed_lengths(activation, weight_variance, bias_variance)
    if (
        points
        and points[0].stability == "neutral"
        and length_map(activation, start, weight_variance) == start
    ):
        return start
    stable = [p.length for p in points if p.stability == "stable"]
    q = float(start)
    for _ in range(layers):
        near = [p for p in stable if abs(q - p) <= 1e-3 * p]
        if near:
            return near[0]
        q, before = length_map(activation, q, weight_variance, bias_variance), q
        if q < SHORTEST:
            return 0.0
        if q > LONGEST:
            return float("inf")
        if abs(q - before) < 1e-14 * q:
            break
    return q
