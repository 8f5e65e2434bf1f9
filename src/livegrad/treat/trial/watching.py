"""The jobs of a trial that run: how far each is, and which of them are hopeless."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from livegrad.treat.choice import parse_choices
from livegrad.treat.trial.arm import CONTROL
from livegrad.treat.trial.course import Course
from livegrad.treat.trial.engine import Engine, Job
from livegrad.treat.trial.reading import error_codes, open_run
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.stopping import Look, broken, due, hopeless, looks_at

_POLL_SECONDS = 0.1
# Running arms are looked at as often as this.
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """A running job as a screen shows it. steps: taken so far; of: to take, None if unknown. loss: its level
    by now.
    """

    arm: str
    repetition: int
    steps: int
    of: int | None
    loss: float | None
    seconds: float


Tell = Callable[[Trial, Sequence[Progress]], None]


@dataclass(frozen=True)
class Ended:
    """A job that ended by itself. code: its exit code; seconds: it took."""

    job: Job
    code: int
    seconds: float


@dataclass
class _Running:
    job: Job
    started: float = field(default_factory=time.monotonic)
    looked: int = 0
    checked: float = 0.0
    steps: int = 0
    loss: float | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class Watch:
    """Starts, follows and ends the jobs of one trial. tell: is called often with what is running."""

    def __init__(self, trial: Trial, engine: Engine, tell: Tell) -> None:
        self._trial = trial
        self._engine = engine
        self._tell = tell
        self._running: dict[Job, _Running] = {}

    def __len__(self) -> int:
        """How many jobs run."""
        return len(self._running)

    @property
    def has_room(self) -> bool:
        return len(self._running) < self._engine.slots

    @property
    def busy(self) -> set[tuple[str, int]]:
        """(arm, repetition) of every running job."""
        return {(job.arm, job.repetition) for job in self._running}

    def start(self, job: Job) -> None:
        self._running[job] = _Running(job)
        self._engine.start(job)

    def wait(self) -> list[Ended]:
        """Wait a little, tell the progress, and return the jobs that have ended since."""
        time.sleep(_POLL_SECONDS)
        self._tell(self._trial, [self._progress(one) for one in self._running.values()])
        return [Ended(job, code, self._running.pop(job).seconds) for job, code in self._engine.finished()]

    def end(self, job: Job) -> float:
        """End a job; return the seconds it took."""
        self._engine.end(job)
        return self._running.pop(job).seconds

    def end_all_of(self, arm: str) -> None:
        """End every job of an arm."""
        for job in [job for job in self._running if job.arm == arm]:
            self.end(job)

    def lost(self) -> list[tuple[Job, str]]:
        """Look at what has not been looked at for a while; return what is hopeless, and why."""
        found = []
        for one in self._running.values():
            if time.monotonic() - one.checked >= _LOOK_SECONDS:
                one.checked = time.monotonic()
                why = self._look(one)
                if why is not None:
                    found.append((one.job, why))
        return found

    def _look(self, running: _Running) -> str | None:
        job, trial = running.job, self._trial
        run = open_run(job.folder)
        if run is None:
            return None
        subject = (trial.metric or {}).get("subject")
        course = Course.of(run, subject)
        running.steps = max(run.info.steps, int(course.steps[-1]) + 1 if len(course) else 0)
        running.loss = course.level if len(course) else None
        if job.arm == CONTROL or trial.steps is None:
            return None
        beside = job.repetition if (CONTROL, job.repetition) in trial.runs else 0
        control = open_run(trial.run_folder(CONTROL, beside))
        if control is None:
            return None
        other = Course.of(control, subject)
        why = broken(course, other)
        # A later seed runs to its end: to leave out those that go badly would flatter the arm.
        looks = looks_at(choice.remedy for choice in parse_choices(job.arm))
        if why is None and job.repetition == 0 and due(running.steps, trial.steps, running.looked, looks):
            running.looked += 1
            why = hopeless(Look(course, other, error_codes(run.report().to_dict()["findings"])))
        return why

    def _progress(self, running: _Running) -> Progress:
        job = running.job
        of = self._trial.steps or self._trial.budget.steps
        return Progress(job.arm, job.repetition, running.steps, of, running.loss, running.seconds)
