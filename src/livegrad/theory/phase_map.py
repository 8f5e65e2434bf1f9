"""Maps over weight and bias variance: where a wide plain network's gradients vanish, pass or explode."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from livegrad.theory.activation import Activation, moments
from livegrad.theory.correlation_map import TRAINABLE_SCALES, Phase, fixed_correlation, slope_covariance
from livegrad.theory.critical_point import critical_at
from livegrad.theory.length_map import decay_depth, length_map, length_slope


@dataclass(frozen=True)
class PhaseMap:
    """Arrays over bias variances σ_b² (B,) and weight variances σ_w² (W,).

    decades (B, W): log10 of what one layer does to the gradient's norm, ½ log10 χ₁, read at the length the
    network settles at. depth (B, W): 6 ξ_c, the layers over which it trains (inf at criticality), or None.
    critical (K, 2): points (σ_w², σ_b²) of the line χ₁ = 1, ascending in σ_b².
    """

    activation: str
    weight: np.ndarray
    bias: np.ndarray
    decades: np.ndarray
    depth: np.ndarray | None
    critical: np.ndarray


@lru_cache(maxsize=16)
def phase_map(
    activation: str,
    weight: tuple[float, ...],
    bias: tuple[float, ...],
    depths: bool = False,
) -> PhaseMap:
    """Return the map of one activation of the catalogue. depths: with 6 ξ_c, which takes much longer in the
    chaotic phase. (Poole et al. 2016; Schoenholz et al. 2017.)
    """
    w, b = (part.ravel() for part in np.meshgrid(weight, bias))
    length = settled_lengths(activation, w, b)
    chi = w * np.exp(_read(_table(activation).slopes, length))
    shape = (len(bias), len(weight))
    depth = None
    if depths:
        found = [
            _phase(activation, *each) for each in zip(w.tolist(), b.tolist(), length.tolist(), strict=True)
        ]
        depth = np.array([_trainable(phase) for phase in found]).reshape(shape)
    decades = (0.5 * np.log10(np.maximum(chi, 1e-300))).reshape(shape)
    line = critical_line(activation, max(bias))
    return PhaseMap(activation, np.array(weight), np.array(bias), decades, depth, line)


def _trainable(found: Phase) -> float:
    """6 ξ_c; where every input fades to nothing, 6 times the layers in which it fades by e."""
    return TRAINABLE_SCALES * found.gradient_scale if found.length <= _FADED else found.trainable_depth


@dataclass(frozen=True)
class _Table:
    """ln E φ² and ln E φ'² over ln q, for many lengths at once."""

    squares: np.ndarray
    slopes: np.ndarray


_LOG_LENGTHS = np.linspace(np.log(1e-8), np.log(1e6), 281)
_MOST_LAYERS, _FADED = 4000, 1.1e-8


@lru_cache(maxsize=32)
def _table(activation: str) -> _Table:
    found = np.array([moments(activation, float(q))[1:] for q in np.exp(_LOG_LENGTHS)])
    squares, slopes = np.log(np.maximum(found, 1e-300)).T
    return _Table(squares, slopes)


def _read(values: np.ndarray, length: np.ndarray) -> np.ndarray:
    return np.interp(np.log(np.clip(length, 1e-8, 1e6)), _LOG_LENGTHS, values)


def settled_lengths(activation: str, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the mean square q at which deep networks settle from q = 1, for arrays of σ_w² and σ_b² of one
    shape, between 1e-8 and 1e6 (a network that goes beyond is read there). Moments are read from a table of
    281 lengths: q is right to a part in a thousand.
    """
    table = _table(activation)
    q = np.ones(np.broadcast(weight, bias).shape)
    for _ in range(_MOST_LAYERS):
        after = np.clip(weight * np.exp(_read(table.squares, q)) + bias, 1e-8, 1e6)
        if np.all(np.abs(after - q) <= 1e-9 * q):
            break
        q = after
    return q


def _phase(activation: str, weight: float, bias: float, length: float) -> Phase:
    """The phase where the length it settles at is known already."""
    after = length_map(activation, length, weight, bias)
    chi = weight * moments(activation, length)[2]
    correlation = fixed_correlation(activation, length, weight, bias)
    settled = chi if correlation == 1 else weight * slope_covariance(activation, correlation, length)
    settled *= length / after
    return Phase(
        length=length,
        correlation=correlation,
        chi=chi,
        chi_fixed=settled,
        length_scale=decay_depth(length_slope(activation, length, weight)),
        correlation_scale=decay_depth(settled),
        gradient_scale=float(np.inf) if abs(chi - 1) < 1e-12 else float(1 / abs(np.log(chi))),
    )


def critical_line(activation: str | Activation, most_bias: float, points: int = 160) -> np.ndarray:
    """Return points (K, 2) = (σ_w², σ_b²) with χ₁ = 1, ascending in σ_b², up to the first over `most_bias`;
    empty where none has σ_b² ≥ 0. One critical point for each length q*: σ_w² = 1/E φ'², σ_b² = q* − E φ²/E
    φ'².
    """
    found = set()
    for length in np.logspace(-6, 3, points):
        point = critical_at(activation, float(length))
        if point is not None:
            found.add((round(point.weight_variance, 9), round(point.bias_variance, 9)))
    line = sorted(found, key=lambda pair: pair[1])
    inside = sum(bias <= most_bias for _, bias in line)
    return np.array(line[: inside + 1]).reshape(-1, 2)


@lru_cache(maxsize=32)
def depth_scales(
    activation: str, weight: tuple[float, ...], bias_variance: float = 0.05
) -> tuple[Phase, ...]:
    """Return the phase at each weight variance, with its scales ξ_q, ξ_c and ξ_∇ in layers."""
    lengths = settled_lengths(activation, np.array(weight), np.full(len(weight), bias_variance))
    pairs = zip(weight, lengths.tolist(), strict=True)
    return tuple(_phase(activation, w, bias_variance, length) for w, length in pairs)
