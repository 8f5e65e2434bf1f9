"""Changes that call for a closer look: a loss or gradient that jumps or is not finite, a loss scale that
drops.
"""

import math

from livegrad.run.rows import PulseRow
from livegrad.watch.loss import Site
from livegrad.watch.schedule import ChangeDetector


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
        return Change(spike or dropped or newly, spike, f"{what} is not finite" if newly else None)


class Change:
    """alarm: record densely. scan: look at the layers soon. text: what to write down, or None."""

    __slots__ = ("alarm", "scan", "text")

    def __init__(self, alarm: bool, scan: bool, text: str | None) -> None:
        self.alarm, self.scan, self.text = alarm, scan, text
