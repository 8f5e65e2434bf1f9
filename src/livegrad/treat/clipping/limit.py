"""Where to clip: a limit read off the gradient norms that were recorded, or off the first steps.

The limit is the 90 % quantile of the norms of a sound stretch. It cuts one step in ten, the largest: an
exception, as clipping is meant to be. Under the median it would act on most steps and be the learning rate;
over the largest norm it would do nothing. (Pascanu et al. 2013 take half to ten times the mean.) The stretch
ends where the run broke, because norms on the way up say nothing of what is usual.
"""

import statistics
from math import isfinite

import numpy as np

QUANTILE = 0.9
FEWEST = 8
LEARNT_FROM = 25
"""Steps from which a limit is learnt where nothing was recorded (ZClip's warm-up; Kumar et al. 2025)."""
OUTLIER = 3.0
"""A norm over this many times the median before it is not usual; as in the finding LG105."""


def recorded_limit(steps: np.ndarray, norms: np.ndarray, broke: int | None = None) -> float | None:
    """The limit from the norms (S,) recorded at `steps` (S,), those from step `broke` on not counted.

    Fewer than 8 sound norms: the largest of them; none: the first finite one. None where there is no such.
    """
    finite = np.isfinite(norms) & (norms > 0)
    if not finite.any():
        return None
    ends = [len(norms)]
    if not np.isfinite(norms).all():
        ends.append(int(np.flatnonzero(~np.isfinite(norms))[0]))
    if broke is not None:
        ends.append(int(np.searchsorted(steps, broke)))
    sound = norms[: min(ends)]
    sound = sound[np.isfinite(sound) & (sound > 0)]
    if not len(sound):
        return round_number(float(norms[finite][0]))
    return round_number(float(np.quantile(sound, QUANTILE) if len(sound) >= FEWEST else sound.max()))


class FirstSteps:
    """A limit learnt from the first steps: until it is known each norm is held to 3 × the median so far."""

    def __init__(self) -> None:
        self._norms: list[float] = []
        self.limit: float | None = None

    def __call__(self, norm: float) -> float:
        """Take a finite norm and return the limit for this step."""
        if self.limit is not None:
            return self.limit
        allowed = OUTLIER * statistics.median(self._norms) if self._norms else norm
        if norm > 0:
            self._norms.append(min(norm, allowed))
        if len(self._norms) >= LEARNT_FROM:
            self.limit = round_number(float(np.quantile(self._norms, QUANTILE)))
        return max(allowed, 0.0) if norm > 0 else norm


def round_number(value: float, digits: int = 2) -> float:
    """The value to so many significant digits, as one would write it."""
    if value == 0 or not isfinite(value):
        return value
    return float(f"{value:.{max(0, digits - 1)}e}")
