"""Changes that call for a closer look: a loss or gradient that jumps or is not finite, a loss scale that
drops, gradients that fade away over the whole of a network, tensors that get none any more.
"""

import math

import numpy as np

from livegrad.run.rows import PulseRow
from livegrad.watch.loss import Site
from livegrad.watch.schedule import ChangeDetector

# Half of the tensors hear this many decades less, or more, than when they were last looked at.
OTHER_DECADES = 3.0
# Experts and paths that are left out by chance get no gradient now and then: that is no change.
MOST_SILENCES = 2


class LossAlarm:
    """Watches the loss of every backward pass that is known at once, for each line that calls backward."""

    def __init__(self) -> None:
        self._detectors: dict[Site | None, ChangeDetector] = {None: ChangeDetector()}
        self._finite = True

    def jumps(self, value: float, site: Site | None) -> bool:
        """Whether `value` is a spike, or the first that is not finite after finite ones."""
        if not math.isfinite(value):
            first, self._finite = self._finite, False
            return first
        self._finite = True
        detector = self._detectors.get(site)
        if detector is None:
            detector = self._detectors[site] = ChangeDetector()
        return detector.spike(value)


class RowAlarm:
    """Watches the rows of one subject as they are written."""

    def __init__(self) -> None:
        self._gradient = ChangeDetector()
        self._loss_scale = 0.0
        self._size: dict[int, float] = {}
        self._silent: dict[int, frozenset[int]] = {}
        self._silences = 0
        self.broken = False

    def look(self, row: PulseRow) -> "Change":
        """What has changed with this row."""
        loss_broken = row.loss is not None and not math.isfinite(row.loss)
        broken = loss_broken or row.nonfinite > 0
        newly = broken and not self.broken
        spike = self._gradient.spike(math.sqrt(max(row.gradient_sum_squares, 0.0)))
        dropped = row.loss_scale < self._loss_scale
        self.broken, self._loss_scale = broken, row.loss_scale
        what = "the loss" if loss_broken else "a gradient or weight"
        other = self._changes_size(row) | self._falls_silent(row)
        text = f"{what} is not finite" if newly else None
        return Change(spike or dropped or newly or other, spike or other, text, other)

    def _changes_size(self, row: PulseRow) -> bool:
        squares = row.gradient_sum_squares_by_tensor
        squares = squares[(squares > 0) & np.isfinite(squares)]
        if not len(squares):
            return False
        size = float(np.log10(np.median(squares))) / 2
        known = self._size.setdefault(row.optimizer, size)
        changed = abs(size - known) > OTHER_DECADES
        if changed:
            self._size[row.optimizer] = size
        return changed

    def _falls_silent(self, row: PulseRow) -> bool:
        silent = frozenset(row.tensor[row.gradient_nonfinite < 0].tolist())
        before = self._silent.get(row.optimizer)
        self._silent[row.optimizer] = silent
        fresh = before is not None and not silent <= before and self._silences < MOST_SILENCES
        self._silences += fresh
        return fresh


class Change:
    """alarm: record densely. scan: look at the layers soon. lasting: what is there now is not what was. text:
    what to write down, or None.
    """

    __slots__ = ("alarm", "lasting", "scan", "text")

    def __init__(self, alarm: bool, scan: bool, text: str | None, lasting: bool = False) -> None:
        self.alarm, self.scan, self.text, self.lasting = alarm, scan, text, lasting
