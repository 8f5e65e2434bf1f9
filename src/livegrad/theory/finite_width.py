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

Orthogonal weights keep the length of what they are given exactly, so each layer's Σ z² is no draw: variances
and covariances of φ² and φ'² are then what is left of them when z² is projected out, and κ = 2 Var φ'²/(E
φ'²)² plus the variance so reduced: 3 for ReLU, 0 for a linear layer.
"""

from collections.abc import Callable, Sequence
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


def layer_spread(
    activation: str | Activation = "ReLU", length: float = 1.0, orthogonal: bool = False
) -> float:
    """Return κ, the variance of ln ‖Jᵀv‖² per layer times its width.

    For Gaussian weights κ = 3 E φ'⁴/(E φ'²)² − 1.
    """
    return _Squares(named(activation), length, orthogonal).spread


def null_band(
    widths: Sequence[float],
    activation: str | Activation = "ReLU",
    weight_gain: float | None = None,
    length: float = 1.0,
    orthogonal: bool = False,
) -> NullBand:
    """Return the spread of ln ‖Jᵀv‖² between the output and the input of hidden layers of these widths.

    widths: (L,), input side first. weight_gain: σ_w, None for the activation's own gain. length: mean square
    q of the pre-activations, a fixed point of the length map. orthogonal: weights are orthogonal and not
    Gaussian. For He-initialized ReLU: β = 5 Σ 1/n_l.
    """
    weights = (gain(activation) if weight_gain is None else weight_gain) ** 2
    squares = _Squares(named(activation), length, orthogonal)
    memory = length_slope(activation, length, weights)
    above = np.arange(len(widths) - 1, -1, -1)
    reach = above if abs(memory - 1) < 1e-9 else (1 - memory**above) / (1 - memory)
    # What one unit of E φ² more below does to ln χ₁ of all the layers above.
    pull = _sensitivity(activation, length) * reach * weights
    terms = squares.spread + 2 * pull * squares.together + pull**2 * squares.size
    return NullBand(float(np.sum(terms / np.asarray(widths, dtype=float))))


class _Squares:
    """Second moments of φ² and φ'²/E φ'². spread: κ. size: Var φ². together: their covariance."""

    def __init__(self, phi: Activation, length: float, orthogonal: bool) -> None:
        _, square, slope_square = moments(phi, length)

        def mean(function: Callable[[np.ndarray], np.ndarray]) -> float:
            return expect(function, phi.kinks, sqrt(length))

        slopes = mean(lambda x: phi.slope(x) ** 4) / slope_square**2 - 1
        self.size = mean(lambda x: phi.function(x) ** 4) - square**2
        self.together = mean(lambda x: (phi.function(x) * phi.slope(x)) ** 2) / slope_square - square
        if not orthogonal:
            self.spread = 3 * slopes + 2
            return
        # Covariances with z², whose variance is 2 q².
        own = mean(lambda x: phi.function(x) ** 2 * x**2) - square * length
        slope = mean(lambda x: phi.slope(x) ** 2 * x**2) / slope_square - length
        self.spread = 3 * slopes - slope**2 / (2 * length**2)
        self.size -= own**2 / (2 * length**2)
        self.together -= own * slope / (2 * length**2)


def _sensitivity(activation: str | Activation, length: float) -> float:
    """d ln E φ'(√q z)² / dq."""
    step = 1e-3
    up, down = (moments(activation, length * (1 + sign * step))[2] for sign in (1, -1))
    return float(np.log(up / down) / (2 * step * length))
