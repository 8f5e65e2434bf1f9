"""Critical initializations: weight and bias variances at which gradients neither vanish nor explode.

A point (σ_w², σ_b², q*) is critical if q* is a fixed length and χ₁(q*) = σ_w² E φ'(√q* z)² = 1. For most
activations there is one for every length q*: σ_w² = 1/E φ'², σ_b² = q* − E φ²/E φ'². (Schoenholz et al. 2017;
Roberts, Yaida & Hanin 2022, chapter 5.)
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from livegrad.theory.activation import Activation, moments
from livegrad.theory.length_map import length_slope
from livegrad.theory.roots import scan

_ROUNDING, _MARGINAL = 1e-9, 1e-6


@dataclass(frozen=True)
class CriticalPoint:
    """σ_w² = fan-in · Var W, σ_b² = Var b, the length q* and χ_q = V'(q*).

    stability: "any length" (φ is scale-free around q*: every length there is kept), "stable" (χ_q < 1),
    "half-stable" (χ_q = 1: reached from one side only) or "unstable".
    """

    weight_variance: float
    bias_variance: float
    length: float
    length_slope: float
    stability: str


def critical_at(activation: str | Activation, length: float = 1.0) -> CriticalPoint | None:
    """Return the critical point with fixed length q* = `length`; None if it would need σ_b² < 0."""
    _, square, slope_square = moments(activation, float(length))
    if slope_square <= _ROUNDING:
        return None
    weight = 1 / slope_square
    bias = length - weight * square
    if bias < -_ROUNDING * length:
        return None
    bias = 0.0 if abs(bias) < _ROUNDING * length else bias
    slope = length_slope(activation, length, weight)
    return CriticalPoint(weight, bias, float(length), slope, _stability(bias / length, slope))


def half_stable_point(activation: str | Activation) -> CriticalPoint | None:
    """Return the critical point at which the length is marginal too, χ₁ = χ_q = 1, the lowest such q* in
    [1e-3, 1e4]; None if there is none with σ_b² > 0.

    There lengths above q* come down to it, and lengths below leave it, or the reverse.
    """

    def excess(q: float) -> float:
        slope_square = moments(activation, q)[2]
        return length_slope(activation, q, 1 / slope_square) - 1 if slope_square > _ROUNDING else 1.0

    for q in scan(excess, np.logspace(-3, 4, 71)):
        point = critical_at(activation, q)
        if point is not None and point.stability != "any length":
            return CriticalPoint(point.weight_variance, point.bias_variance, q, 1.0, "half-stable")
    return None


@lru_cache(maxsize=256)
def critical_point(activation: str | Activation) -> CriticalPoint | None:
    """Return the critical point to initialize at: q* = 1 where that is stable, else the half-stable point,
    else the one with σ_b² = 0; None if there is none.
    """
    at_one = critical_at(activation, 1.0)
    if at_one is not None and at_one.stability in ("any length", "stable"):
        return at_one
    return half_stable_point(activation) or _without_bias(activation)


def _stability(relative_bias: float, slope: float) -> str:
    if abs(slope - 1) < _MARGINAL:
        return "any length" if relative_bias < _MARGINAL else "half-stable"
    return "stable" if abs(slope) < 1 else "unstable"


def _without_bias(activation: str | Activation) -> CriticalPoint | None:
    def bias(q: float) -> float:
        _, square, slope_square = moments(activation, q)
        return q - square / slope_square if slope_square > 0 else -1.0

    points = (critical_at(activation, q) for q in scan(bias, np.logspace(-3, 6, 91)))
    return next((p for p in points if p is not None and p.stability != "unstable"), None)
