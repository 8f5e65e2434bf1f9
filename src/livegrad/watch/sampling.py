"""Which steps are recorded: asks each subject's schedule one step ahead, and forces a step when something
changes.
"""

import threading
import time

from livegrad.watch.plan import Plan
from livegrad.watch.record import Record
from livegrad.watch.scanning import ScanDriver
from livegrad.watch.subject import Subject
from livegrad.watch.subjects import SubjectTable

clock = time.perf_counter


class Sampling:
    """wanted: whether the step under way, or to come, may be recorded; on others nothing is looked at."""

    def __init__(self, table: SubjectTable, scans: ScanDriver) -> None:
        self.wanted = True
        self._table = table
        self._scans = scans
        self._forced = False

    def look_ahead(self, subject: Subject, now: float, record: Record | None, lock: threading.RLock) -> None:
        """Decide about the subject's next step, once."""
        step = subject.planned = subject.iteration + 1
        subject.next = subject.schedule.decide(step, now)
        if subject.next.scan:
            with lock:
                alone = len(self._table.subjects) == 1
                armed = self._scans.arm(subject, self._table.tensors.ids(), alone)
            if not armed and subject.root is None and record is not None:
                text = f"layers of {subject.name}: no torch.nn.Module in sight holds these tensors"
                record.note(step, "not_observed", text)

    def step_over(self) -> None:
        """All subjects of the step have looked ahead."""
        self.wanted = any(s.next.pulse or (s.shared and s.decision.pulse) for s in self._table.subjects)

    def advance(self, plan: Plan, cycle: int) -> bool:
        """Count a step of `plan` for its subjects; True if it is to be recorded."""
        sampled, now = False, clock() if self._forced else 0.0
        for part in plan.parts:
            subject = part.subject
            sampled |= self._forced and subject.schedule.affords_surprise(now)
            if cycle != subject.cycle or part.optimizer in subject.stepped:
                subject.iteration += 1
                subject.stepped.clear()
                subject.decision = subject.next
                subject.cycle = cycle
            subject.stepped.add(part.optimizer)
            sampled |= subject.decision.pulse
        self._forced = False
        return sampled

    def force(self, scan: bool) -> None:
        """Record this very step and the next ones, as far as the budget allows; scan soon if asked."""
        self._forced = self.wanted = True
        for subject in self._table.subjects:
            subject.schedule.alarm(scan)
