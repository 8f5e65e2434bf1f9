"""What watching has cost so far, in seconds, and what of it the schedules have been told."""

from collections.abc import Callable, Sequence

from livegrad.watch.forensics import Forensics
from livegrad.watch.scanning import ScanDriver
from livegrad.watch.schedule import OPENING
from livegrad.watch.subject import Subject


class Costs:
    """spent: the seconds that the session has measured in its own methods.

    started: when the first step began. opening: seconds and cost of the first 100 steps, None while they
    last.
    """

    def __init__(self, spent: Callable[[], float], scans: ScanDriver, forensics: Forensics) -> None:
        self.started = 0.0
        self.opening: tuple[float, float] | None = None
        self._spent = spent
        self._scans = scans
        self._forensics = forensics
        self._pulses = 0.0

    def total(self) -> float:
        """All of it, with what scans have added to the passes they listened to."""
        return self._spent() + self._scans.excess.seconds + self._forensics.calls_cost

    def beside(self) -> float:
        """What was spent on anything but pulses and scans: ordinary steps, run.json, diagnoses.

        A search for the origin of a NaN is left out: it is made whatever it costs, and three times at most.
        """
        ordinary = self._spent() + self._forensics.calls_cost - self._forensics.cost
        return ordinary - self._scans.cost - self._pulses

    def pulse(self, seconds: float) -> None:
        """A pulse has cost so much, and its schedule knows."""
        self._pulses += seconds

    def note_opening(self, now: float, subjects: Sequence[Subject]) -> None:
        """Note when the opening of every subject is over."""
        if self.opening is None and all(subject.iteration >= OPENING for subject in subjects):
            self.opening = now - self.started, self.total()
