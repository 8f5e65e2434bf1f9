"""The course of one run's loss, and the level it came down to."""

import math
from dataclasses import dataclass

import numpy as np

from livegrad.run.reader import Run

LAST_SHARE = 0.1
# So many losses that are not finite, one after the other, are no step that a loss scaler skipped.
_BROKEN = 3


@dataclass(frozen=True)
class Course:
    """Steps (S,) and losses (S,) of one model of one run, in order; NaN and infinity stay in."""

    steps: np.ndarray
    losses: np.ndarray

    @classmethod
    def of(cls, run: Run, subject: str | None = None) -> "Course":
        """The losses of the subject with this name (else the first): of every step where they were kept, and
        of the recorded steps, which a run that is still going has first.
        """
        number = next((s.id for s in run.subjects if s.name == subject), None)
        if number is None:
            number = run.subjects[0].id if run.subjects else 0
        steps, losses = run.losses(number)
        scalars = run.scalars(number)
        known = scalars["loss_known"]
        every = np.concatenate([steps, scalars["step"][known]])
        kept, first = np.unique(every, return_index=True)
        both = np.concatenate([losses, scalars["loss"][known]])
        return cls(kept.astype(np.int64), both[first].astype(np.float64))

    def __len__(self) -> int:
        return len(self.steps)

    def until(self, steps: int) -> "Course":
        """The course of the first `steps` steps."""
        kept = self.steps < steps
        return Course(self.steps[kept], self.losses[kept])

    def at(self, steps: np.ndarray) -> "Course":
        """The course at these of its steps, or up to the last of them where few of them are known."""
        kept = np.isin(self.steps, steps)
        if 2 * int(kept.sum()) < len(steps):
            return self.until(int(steps[-1]) + 1)
        return Course(self.steps[kept], self.losses[kept])

    @property
    def diverged(self) -> bool:
        """Whether the loss ended, or stayed for three steps at its end, as NaN or infinity."""
        tail = self.losses[-_BROKEN:]
        return bool(len(tail)) and not bool(np.isfinite(tail).any())

    @property
    def level(self) -> float:
        """Mean loss over the last tenth of the steps; infinity if it diverged, NaN without a loss.

        One step that a loss scaler skipped is left out; more than a tenth of such steps is divergence.
        """
        if not len(self):
            return math.nan
        if self.diverged:
            return math.inf
        return _mean(self._tail())

    @property
    def noise(self) -> float:
        """Standard error of `level`, from first differences, so that a steady fall is no noise."""
        tail = self._tail()
        tail = tail[np.isfinite(tail)]
        if len(tail) < 3:
            return 0.0
        return float(np.sqrt(np.mean(np.diff(tail) ** 2) / 2 / len(tail)))

    @property
    def best(self) -> float:
        """The lowest level the loss had over any stretch of a tenth of the steps; infinity where none was
        finite.
        """
        if not len(self):
            return math.nan
        width = len(self._tail())
        broken = np.cumsum(np.r_[0.0, ~np.isfinite(self.losses)])
        sums = np.cumsum(np.r_[0.0, np.where(np.isfinite(self.losses), self.losses, 0.0)])
        whole = (broken[width:] - broken[:-width]) == 0
        means = (sums[width:] - sums[:-width]) / width
        if whole.any():
            return float(means[whole].min())
        finite = self.losses[np.isfinite(self.losses)]
        return float(finite[0]) if len(finite) else math.inf

    def _tail(self) -> np.ndarray:
        return self.losses[-max(1, round(LAST_SHARE * len(self))) :]


def _mean(values: np.ndarray) -> float:
    finite = np.isfinite(values)
    if (~finite).sum() > max(1, LAST_SHARE * len(values)) or not finite.any():
        return math.inf
    return float(values[finite].mean())
