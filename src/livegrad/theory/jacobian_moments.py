"""The singular values of a wide stack's input-output Jacobian: the first two moments of their squares.

J = D_L W_L … D_1 W_1, D = diag φ'(z). The layers are free of each other in the limit of great width, so

    mean of s²          m₁ = Π χ_l,           χ_l = σ_w² E φ'(√q_l z)²
    variance of s²/m₁   v = Σ (μ_l + w),      μ_l = E φ'⁴ / (E φ'²)² − 1

with w = 1 for Gaussian weights and 0 for orthogonal ones: a variance that grows with depth unless φ is linear
and the weights orthogonal, which alone keeps every singular value at one (dynamical isometry). Square layers
of equal width. (Pennington, Schoenholz & Ganguli 2017, 2018, whose σ²_JJᵀ is v at m₁ = 1.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from livegrad.theory.activation import Activation, moments, named
from livegrad.theory.gaussian import expect
from livegrad.theory.length_map import length_map


@dataclass(frozen=True)
class SquaredMoments:
    """mean: of the squared singular values, m₁. variance: of s²/m₁."""

    mean: float
    variance: float

    @property
    def rms(self) -> float:
        """Root mean square of the singular values, √m₁."""
        return sqrt(self.mean)


def jacobian_moments(
    activation: str | Activation,
    weight_gain: float,
    depth: int,
    length: float,
    bias_variance: float = 0.0,
    *,
    orthogonal: bool = False,
    last_linear: bool = False,
) -> SquaredMoments:
    """Return the moments of `depth` equal layers from pre-activations of mean square `length` in the first.

    weight_gain: σ_w. last_linear: no activation follows the last weights.
    """
    lengths = [length]
    for _ in range(depth - 1):
        lengths.append(length_map(activation, lengths[-1], weight_gain**2, bias_variance))
    return layered_moments(
        activation, [weight_gain] * depth, lengths, orthogonal=orthogonal, last_linear=last_linear
    )


def layered_moments(
    activation: str | Activation,
    weight_gains: Sequence[float],
    lengths: Sequence[float],
    *,
    orthogonal: bool = False,
    last_linear: bool = False,
) -> SquaredMoments:
    """Return the moments of layers of these gains σ_w and mean squares of their pre-activations, input
    first.
    """
    phi = named(activation)
    total, variance = 0.0, 0.0
    for i, (weight_gain, q) in enumerate(zip(weight_gains, lengths, strict=True)):
        variance += 0.0 if orthogonal else 1.0
        if last_linear and i == len(lengths) - 1:
            total += log(weight_gain**2)
            continue
        square = moments(activation, q)[2]
        fourth = expect(lambda x: phi.slope(x) ** 4, phi.kinks, sqrt(q))
        total += log(weight_gain**2 * square)
        variance += fourth / square**2 - 1
    return SquaredMoments(exp(total), variance)
