"""A robust straight line through noisy points: Theil–Sen with a block-bootstrap interval."""

from dataclasses import dataclass

import numpy as np

_MOST_POINTS = 300


@dataclass(frozen=True)
class Trend:
    """A slope (y per unit of x) and its 95 % interval; NaN where there are under three finite points."""

    slope: float
    low: float
    high: float


def theil_sen(x: np.ndarray, y: np.ndarray) -> float:
    """Return the median of all pairwise slopes of the points (x, y), each of shape (n,); NaN for fewer than
    two distinct x.
    """
    dx = x[:, None] - x[None, :]
    dy = y[:, None] - y[None, :]
    upper = (np.triu(np.ones_like(dx), 1) > 0) & (dx != 0)
    return float(np.median(dy[upper] / dx[upper])) if upper.any() else float("nan")


def block_trend(x: np.ndarray, y: np.ndarray, resamples: int = 200, seed: int = 0) -> Trend:
    """Fit a Theil–Sen line and resample its residuals in blocks of √n neighbours, which keeps their
    correlation over depth.

    x, y: shape (n,); non-finite points are left out, and more than 300 are thinned evenly.
    """
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    if len(x) > _MOST_POINTS:
        picked = np.linspace(0, len(x) - 1, _MOST_POINTS).astype(int)
        x, y = x[picked], y[picked]
    if len(x) < 3:
        return Trend(float("nan"), float("nan"), float("nan"))
    slope = theil_sen(x, y)
    line = np.median(y - slope * x) + slope * x
    residual, size = y - line, max(1, round(len(x) ** 0.5))
    generator = np.random.default_rng(seed)
    count = resamples if len(x) <= 100 else resamples // 4
    slopes = []
    for _ in range(count):
        starts = generator.integers(0, len(x), len(x) // size + 1)
        picked = ((starts[:, None] + np.arange(size)) % len(x)).ravel()[: len(x)]
        slopes.append(theil_sen(x, line + residual[picked]))
    low, high = np.percentile(slopes, [2.5, 97.5])
    return Trend(slope, float(low), float(high))
