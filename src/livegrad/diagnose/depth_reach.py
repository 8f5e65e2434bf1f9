"""How deep could this design go: what one layer does to the signal, and after how many the signal is lost.

A layer multiplies audibility by a factor f. After n of them it is f^n, and a network trains to a depth of
about six e-foldings, n = 6 / |ln f| (after Schoenholz et al. 2017).
"""

from dataclasses import dataclass
from math import inf, log

import numpy as np

from livegrad.diagnose.patient import Patient
from livegrad.diagnose.spine_profile import SpineProfile
from livegrad.theory.trend import block_trend

E_FOLDINGS = 6.0
LN10 = log(10.0)
FEWEST_LAYERS = 3
NULL_DEVIATIONS = 3.0


@dataclass(frozen=True)
class DepthReach:
    """layers: layers with weights (or residual blocks) along the spine. factor: what one of them passes on of
    audibility, towards the input; factor_low, factor_high: its 95 % interval. reach: layers until six
    e-foldings are gone or gained, reach_low and reach_high its interval; infinite where no limit is in sight.
    growing: whether the signal is amplified. unit: "layer" or "block". measured: "audibility" or
    "activation" (where output and layers fall silent together).
    """

    layers: int
    unit: str
    factor: float
    factor_low: float
    factor_high: float
    reach: float
    reach_low: float
    reach_high: float
    growing: bool
    measured: str

    @property
    def beyond(self) -> bool:
        """Whether the network is certainly deeper than its signal reaches."""
        return self.layers > self.reach_high


def trainable_depth(factor: float) -> float:
    """Return 6 / |ln factor|: layers until six e-foldings of the signal are lost or gained."""
    if factor <= 0 or factor == inf:
        return 0.0
    return inf if abs(factor - 1.0) < 1e-9 else E_FOLDINGS / abs(log(factor))


def depth_reach(patient: Patient) -> DepthReach | None:
    """Return how far the signal reaches at the latest scan; None if unmeasured or under three layers."""
    if not patient.profiles:
        return None
    profile = patient.profiles[-1]
    position, unit = weighted_positions(patient, profile)
    count = int(position[-1]) if len(position) else 0
    if count < FEWEST_LAYERS:
        return None
    y, measured = _course(profile)
    trend = block_trend(position, y)
    if not np.isfinite(trend.slope):
        return None
    # The course falls towards the input where the slope over position is positive.
    slope, low, high = trend.slope, trend.low, trend.high
    chance = NULL_DEVIATIONS * float(np.nanmax(profile.null_sd, initial=0.0)) / count
    clear = (low > 0 or high < 0) and abs(slope) > chance
    limits = sorted(_reach(s) for s in (low, high))
    return DepthReach(
        layers=count,
        unit=unit,
        factor=float(10**-slope),
        factor_low=float(10**-high),
        factor_high=float(10**-low),
        reach=_reach(slope) if clear else inf,
        reach_low=limits[0],
        reach_high=limits[1] if clear else inf,
        growing=slope < 0,
        measured=measured,
    )


def _reach(slope: float) -> float:
    return inf if slope == 0 else E_FOLDINGS / LN10 / abs(slope)


def weighted_positions(patient: Patient, profile: SpineProfile) -> tuple[np.ndarray, str]:
    """Return how many weighted layers lie at or below each spine cut, shape (L,), and what one is called.

    A cut counts if it holds a weight matrix, or if a branch of its segment does (a residual block).
    """
    matrices = {t.id for t in patient.tensors.values() if len(t.shape) >= 2}
    inside = {
        layer.depth
        for layer in patient.layers.values()
        if layer.kind == "branch" and matrices & set(layer.tensors)
    }
    own = np.array([bool(matrices & set(layer.tensors)) for layer in profile.layers], bool)
    joins = np.array([layer.depth in inside for layer in profile.layers], bool) & ~own
    unit = "block" if joins.sum() > own.sum() else "layer"
    return np.cumsum(own | joins).astype(float), unit


def _course(profile: SpineProfile) -> tuple[np.ndarray, str]:
    """Decades over depth: audibility, or the activations' size where all fall silent with the output."""
    quiet = bool(np.all(profile.absolute < -3.0))
    with np.errstate(divide="ignore"):
        size = np.log10(profile.activation_rms)
    if quiet and np.isfinite(size).all() and np.ptp(size) > np.ptp(profile.relative):
        return -size, "activation"
    return np.where(np.isfinite(profile.relative), profile.relative, np.nan), "audibility"
