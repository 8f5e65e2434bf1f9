"""Is the loss still going down? A robust answer from the recorded losses, used to weigh harm, never to find a
fault.
"""

from dataclasses import dataclass

import numpy as np

_FEWEST = 8
# Falling means: the last quarter lies under the one before it by more than this share and by three standard
# errors.
_FALL = 0.05
_CONVERGED = 0.1


@dataclass(frozen=True)
class Learning:
    """The course of the loss. first, last, best: robust levels; state: "falling", "converged", "flat",
    "rising" or "unknown".
    """

    state: str
    first: float
    last: float
    best: float

    @property
    def is_learning(self) -> bool:
        """True if the loss is still falling or has come down to a tenth of where it began."""
        return self.state in ("falling", "converged")


def judge_learning(loss: np.ndarray) -> Learning:
    """Judge the losses of the recorded steps, shape (S,), in order; non-finite ones are left out."""
    values = loss[np.isfinite(loss)]
    if len(values) == 0:
        nan = float("nan")
        return Learning("unknown", nan, nan, nan)
    tail = max(3, len(values) // 4)
    # The lower of the very first loss and the first few: a loss that jumps up at once has not "come down"
    # later.
    first = float(min(values[0], np.median(values[:3])))
    last = float(np.median(values[-tail:]))
    best = float(values.min())
    if len(values) < _FEWEST:
        return Learning("unknown", first, last, best)
    before = values[len(values) // 2 : -tail] if len(values) >= 12 else values[:-tail]
    middle = float(np.median(before))
    error = np.hypot(_standard_error(before), _standard_error(values[-tail:]))
    scale = max(abs(middle), 1e-300)
    if first > 0 and 0 <= last < _CONVERGED * first:
        return Learning("converged", first, last, best)
    if middle - last > max(_FALL * scale, 3 * error) and last < first - _FALL * abs(first):
        return Learning("falling", first, last, best)
    if last - middle > max(_FALL * scale, 3 * error):
        return Learning("rising", first, last, best)
    return Learning("flat", first, last, best)


def _standard_error(values: np.ndarray) -> float:
    # Detrended by first differences: a steady fall is not noise.
    if len(values) < 3:
        return 0.0
    spread = 1.4826 * float(np.median(np.abs(np.diff(values)))) / np.sqrt(2)
    return spread / np.sqrt(len(values)) * 1.2533
