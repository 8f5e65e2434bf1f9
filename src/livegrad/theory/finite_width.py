"""What finite width does by itself: the spread of ln ‖Jᵀv‖² over initializations of one and the same design.

A unit vector v sent back through one layer of width n with pre-activations z and weights ~ N(0, σ_w²/n)
becomes of squared length (σ_w²/n) Σ φ'(z_j)² ξ_j², ξ ~ N(0, 1), so ln ‖·‖² varies by

    κ/n,   κ = 3 E φ'⁴ / (E φ'²)² − 1          5 for ReLU, 2 for a linear layer

In a stack these add up to β = Σ κ/n_l, and where sizes carry no memory (φ scale-free) ln ‖Jᵀv‖² is N(−β/2,
β): for ReLU β = 5 Σ 1/n_l (Hanin & Nica 2020). Otherwise the size K of the pre-activations fluctuates as
well, by ε_l = σ_w² Var(φ²)^½/√n per layer and with memory χ_q, and the factor χ₁(K) with it. To first order
in 1/n, with s = d ln χ₁/dK and R_l = (1 − χ_q^m)/(1 − χ_q) for the m layers above l (the derivation is in
docs/theory.md):

    β = Σ_l [κ + 2 s R_l C + s² R_l² σ_w⁴ Var φ²] / n_l,   C = σ_w² (E φ² φ'²/E φ'² − E φ²)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from livegrad.theory.activation import Activation, gain, moments, named
from livegrad.theory.gaussian import expect
from livegrad.theory.length_map import length_slope

_DECADE = float(np.log(10))


@dataclass(frozen=True)
class NullBand:
    """How far chance alone moves a gradient: ln ‖Jᵀv‖² ~ N(−β/2, β), β = `variance`.

    The mean is exact for scale-free activations only; for others it is of the same order.
    """

    variance: float

    @property
    def mean(self) -> float:
        """Of ln ‖Jᵀv‖²: −β/2, because the mean of ‖Jᵀv‖² itself is 1."""
        return -self.variance / 2

    @property
    def deviation(self) -> float:
        """Standard deviation of ln ‖Jᵀv‖²."""
        return sqrt(self.variance)

    @property
    def mean_decades(self) -> float:
        """Mean of log10 ‖Jᵀv‖."""
        return self.mean / 2 / _DECADE

    @property
    def deviation_decades(self) -> float:
        """Standard deviation of log10 ‖Jᵀv‖."""
        return self.deviation / 2 / _DECADE


def layer_spread(activation: str | Activation = "ReLU", length: float = 1.0) -> float:
    """Return κ = 3 E φ'⁴/(E φ'²)² − 1, the variance of ln ‖Jᵀv‖² per layer times its width."""
    phi = named(activation)
    fourth = expect(lambda x: phi.slope(x) ** 4, phi.kinks, sqrt(length))
    return 3 * fourth / moments(activation, length)[2] ** 2 - 1


def null_band(
    widths: Sequence[float],
    activation: str | Activation = "ReLU",
    weight_gain: float | None = None,
    length: float = 1.0,
) -> NullBand:
    """Return the spread of ln ‖Jᵀv‖² between the output and the input of hidden layers of these widths.

    widths: (L,), input side first. weight_gain: σ_w, None for the activation's own gain. length: mean square
    q of the pre-activations, a fixed point of the length map. For He-initialized ReLU: β = 5 Σ 1/n_l.
    """
    weights = (gain(activation) if weight_gain is None else weight_gain) ** 2
    spread, cross, size = _length_terms(activation, weights, length)
    memory = length_slope(activation, length, weights)
    above = np.arange(len(widths) - 1, -1, -1)
    reach = above if abs(memory - 1) < 1e-9 else (1 - memory**above) / (1 - memory)
    sensitivity = _sensitivity(activation, length)
    terms = spread + 2 * sensitivity * reach * cross + (sensitivity * reach) ** 2 * size
    return NullBand(float(np.sum(terms / np.asarray(widths, dtype=float))))


def _length_terms(activation: str | Activation, weights: float, length: float) -> tuple[float, float, float]:
    phi, scale = named(activation), sqrt(length)
    _, square, slope_square = moments(activation, length)
    fourth = expect(lambda x: phi.function(x) ** 4, phi.kinks, scale)
    both = expect(lambda x: (phi.function(x) * phi.slope(x)) ** 2, phi.kinks, scale)
    cross = weights * (both / slope_square - square)
    return layer_spread(activation, length), cross, weights**2 * (fourth - square**2)


def _sensitivity(activation: str | Activation, length: float) -> float:
    """d ln E φ'(√q z)² / dq."""
    step = 1e-3
    up, down = (moments(activation, length * (1 + sign * step))[2] for sign in (1, -1))
    return float(np.log(up / down) / (2 * step * length))
