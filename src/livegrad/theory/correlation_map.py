"""The correlation map: how alike two inputs become, layer by layer, and how deep a signal can travel.

    C(c) = (σ_w² E φ(u₁) φ(u₂) + σ_b²) / V(q)        u₁, u₂ ~ N(0, q), correlation c
    χ(c) = C'(c) = σ_w² E φ'(u₁) φ'(u₂) · q / V(q)
    χ₁ = σ_w² E φ'(u)²                              also the factor per layer on ‖gradient‖²
(Poole et al. 2016; Schoenholz et al. 2017.)
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from livegrad.theory.activation import Activation, moments, named
from livegrad.theory.gaussian import expect_pair
from livegrad.theory.length_map import (
    FixedLength,
    decay_depth,
    length_map,
    length_slope,
    limit_length,
)
from livegrad.theory.roots import root

# The depth over which a tanh net trains, in ξ_c (Schoenholz et al. 2017), and the 95 % prediction interval
# for another net, from the six transitions that benchmarks/theory.py measures (3.9 to 8.3 ξ_c, by Student's t
# on their logarithms).
TRAINABLE_SCALES = 6.0
TRAINABLE_INTERVAL = (3.0, 12.7)
# The lengths at which the map is read when a net's own length goes to nothing or to infinity.
_READ_AT = (1e-8, 1e6)
_MARGINAL = 1e-6


@dataclass(frozen=True)
class Phase:
    """Where a design sits between order and chaos, read at the length it settles at.

    length: q*, 0 or inf where it does not settle. correlation: c*. chi: χ₁. chi_fixed: χ(c*), whose decay
    depth is ξ_c. length_scale, correlation_scale: ξ_q, ξ_c in layers (inf at criticality). gradient_scale:
    1/|ln χ₁|, layers per e-fold of the mean squared gradient.
    """

    length: float
    correlation: float
    chi: float
    chi_fixed: float
    length_scale: float
    correlation_scale: float
    gradient_scale: float

    @property
    def name(self) -> str:
        """Say "ordered" (χ₁ < 1: gradients vanish), "chaotic" (χ₁ > 1: they explode) or "critical"."""
        if abs(self.chi - 1) < 1e-6:
            return "critical"
        return "ordered" if self.chi < 1 else "chaotic"

    @property
    def trainable_depth(self) -> float:
        """Layers that a plain stack of this design can have and still train, 6 ξ_c (Schoenholz et al.)."""
        return TRAINABLE_SCALES * self.correlation_scale

    @property
    def trainable_interval(self) -> tuple[float, float]:
        """Layers below which it surely trains and above which it surely does not, at 95 %."""
        low, high = TRAINABLE_INTERVAL
        return low * self.correlation_scale, high * self.correlation_scale


def covariance(activation: str | Activation, correlation: float, length: float = 1.0) -> float:
    """Return E φ(u₁) φ(u₂), u of mean square q = `length` and the given correlation c ∈ [−1, 1]."""
    phi = named(activation)
    return expect_pair(
        lambda a, b: phi.function(a) * phi.function(b), correlation, phi.kinks, float(np.sqrt(length))
    )


def distance(activation: str | Activation, correlation: float, length: float = 1.0) -> float:
    """Return E (φ(u₁) − φ(u₂))² / 2 = E φ² − E φ(u₁) φ(u₂), exact in the relative sense as c → 1."""
    phi = named(activation)
    return expect_pair(
        lambda a, b: (phi.function(a) - phi.function(b)) ** 2 / 2,
        correlation,
        phi.kinks,
        float(np.sqrt(length)),
    )


def slope_covariance(activation: str | Activation, correlation: float, length: float = 1.0) -> float:
    """Return E φ'(u₁) φ'(u₂); φ of the same kinks."""
    phi = named(activation)
    return expect_pair(
        lambda a, b: phi.slope(a) * phi.slope(b), correlation, phi.kinks, float(np.sqrt(length))
    )


def correlation_map(
    activation: str | Activation,
    correlation: float,
    length: float,
    weight_variance: float,
    bias_variance: float = 0.0,
) -> float:
    """Return C(c): the correlation of two inputs after one more layer, if it is c before and both have
    length q.
    """
    gap = weight_variance * distance(activation, correlation, length)
    return 1 - gap / length_map(activation, length, weight_variance, bias_variance)


def fixed_correlation(
    activation: str | Activation, length: float, weight_variance: float, bias_variance: float = 0.0
) -> float:
    """Return c*, the correlation at which two inputs settle, 0 < q < ∞.

    C has only positive powers of c (Mehler), so it is convex on [0, 1]: c* is 1 if C'(1) ≤ 1, else the one
    fixed point below 1.
    """
    after = length_map(activation, length, weight_variance, bias_variance)
    _, _, slope_square = moments(activation, length)
    if weight_variance * slope_square * length / after <= 1 + _MARGINAL:
        return 1.0

    def excess(gap: float) -> float:
        return weight_variance * distance(activation, 1 - gap, length) / (after * gap) - 1

    # At 1 − c = 1e-12 the quotient is χ up to rounding, which lies over 1.
    return 1 - root(excess, 1e-12, 1.0, tolerance=1e-10) if excess(1.0) < 0 else 0.0


@lru_cache(maxsize=512)
def phase(
    activation: str | Activation, weight_variance: float, bias_variance: float = 0.0, start: float = 1.0
) -> Phase:
    """Return q*, c*, χ₁ and the depth scales of a stack of φ with σ_w² = `weight_variance`, σ_b², from q₀."""
    q = limit_length(activation, weight_variance, bias_variance, start)
    read = float(np.clip(q, *_READ_AT))
    chi = weight_variance * moments(activation, read)[2]
    after = length_map(activation, read, weight_variance, bias_variance)
    c = fixed_correlation(activation, read, weight_variance, bias_variance)
    settled = chi if c == 1 else weight_variance * slope_covariance(activation, c, read)
    settled *= read / after
    return Phase(
        length=q,
        correlation=c,
        chi=chi,
        chi_fixed=settled,
        length_scale=FixedLength(read, length_slope(activation, read, weight_variance)).depth_scale,
        correlation_scale=decay_depth(settled),
        gradient_scale=float(np.inf) if abs(chi - 1) < 1e-12 else float(1 / abs(np.log(chi))),
    )
