"""Where an activation saturates: the arguments at which it passes on next to nothing of the gradient."""

import numpy as np

from livegrad.theory.activation import Activation, named
from livegrad.theory.gaussian import expect

# A slope under this fraction of the largest is flat: |x| > 4.36 for the sigmoid, |x| > 2.18 for tanh.
SATURATED_SLOPE = 0.05
_REACH, _POINTS = 24.0, 48_001


def flat_regions(
    activation: str | Activation, share: float = SATURATED_SLOPE
) -> tuple[tuple[float, float], ...]:
    """Return the intervals of the arguments with |φ'| < share · max |φ'|, ascending; outer ends are infinite.

    Read on [−24, 24] at steps of 0.001. A rectifier's dead side is one too: (−∞, 0) for ReLU.
    """
    phi = named(activation)
    x = np.linspace(-_REACH, _REACH, _POINTS)
    slope = np.abs(phi.slope(x))
    flat = slope < share * slope.max()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(int)))
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        low = -np.inf if start == 0 else float(x[start])
        high = np.inf if stop == len(x) else float(x[stop - 1])
        # One point where the slope passes through zero (SiLU's minimum) is no region.
        if high - low > 0.05:
            found.append((low, high))
    return tuple(found)


def flat_share(activation: str | Activation, mean: float = 0.0, spread: float = 1.0) -> float:
    """Return the share of pre-activations h ~ N(mean, spread²) that lie in the flat regions."""
    regions = flat_regions(activation)
    if not regions:
        return 0.0
    ends = [end - mean for region in regions for end in region if np.isfinite(end)]

    def inside(x: np.ndarray) -> np.ndarray:
        return np.any([(x + mean > low) & (x + mean < high) for low, high in regions], axis=0).astype(float)

    return expect(inside, tuple(ends), spread)
