"""Trials whose runs are invented: an engine that writes what a script would have recorded, at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.diagnose.invented_run import Net, write_run

from livegrad.treat.trial.arm import CONTROL
from livegrad.treat.trial.budget import Budget
from livegrad.treat.trial.commands import PRESCRIPTION, Commands
from livegrad.treat.trial.conduct import Conductor
from livegrad.treat.trial.engine import Job
from livegrad.treat.trial.identity import Identity
from livegrad.treat.trial.process import OUTPUT
from livegrad.treat.trial.state import Trial
from livegrad.watch.program import Program

STEPS = 60


@dataclass(frozen=True)
class Outcome:
    """What a run of an arm shows. loss: its last level. sick: whether its gradients vanish. code: its exit
    code; output: what it printed. steps: it takes; hangs: whether it only ends if it is ended. applied: what
    the remedies were in the end.
    """

    loss: float = 0.1
    sick: bool = False
    code: int = 0
    output: str = ""
    steps: int = STEPS
    hangs: bool = False
    applied: tuple[str, ...] = ()


Script = Callable[[str, int], Outcome]


def net_of(outcome: Outcome) -> Net:
    """A falling loss that ends at the level asked for (NaN from half of the way if that is not finite)."""
    net = Net()
    way = np.linspace(0, 1, outcome.steps)
    if np.isfinite(outcome.loss):
        losses = (
            outcome.loss + (2.3 - outcome.loss) * np.exp(-12 * way) + 0.001 * np.sin(7 * np.arange(len(way)))
        )
    else:
        losses = np.where(way < 0.5, 2.3, np.nan)
    net.train(losses, gradient=1e-9 if outcome.sick else 1e-3, ratio=1e-8 if outcome.sick else 1e-3)
    net.scan(0, outcome.steps // 2, outcome.steps - 1, decades=net.ramp(-14.0) if outcome.sick else 0.0)
    return net


@dataclass
class InventedEngine:
    """Runs nothing: what `script` says of an arm and repetition is on disk as soon as it is started.

    interrupt: raises KeyboardInterrupt once so many jobs were started.
    """

    script: Script
    slots: int = 2
    interrupt: int | None = None
    started: list[tuple[str, int]] = field(default_factory=list)
    most: int = 0
    closed: bool = False
    jobs: list[Job] = field(default_factory=list)

    def start(self, job: Job) -> None:
        assert len(self.jobs) < self.slots
        self.started.append((job.arm, job.repetition))
        job.folder.mkdir(parents=True)
        self.jobs.append(job)
        self.most = max(self.most, len(self.jobs))
        outcome = self.script(job.arm, job.repetition)
        (job.folder / OUTPUT).write_text(outcome.output)
        if outcome.steps and job.arm != PRESCRIPTION:
            given = [{"model": "model", "choices": outcome.applied}] if outcome.applied else []
            write_run(job.folder / "20260101-000000-train", net_of(outcome), treatments=given)
        if self.interrupt is not None and len(self.started) >= self.interrupt:
            raise KeyboardInterrupt

    def finished(self) -> list[tuple[Job, int]]:
        outcomes = [(job, self.script(job.arm, job.repetition)) for job in self.jobs]
        ended = [(job, outcome.code) for job, outcome in outcomes if not outcome.hangs]
        self.jobs = [job for job, outcome in outcomes if outcome.hangs]
        return ended

    def running(self) -> tuple[Job, ...]:
        return tuple(self.jobs)

    def end(self, job: Job) -> None:
        self.jobs.remove(job)

    def close(self) -> None:
        self.closed = True
        self.jobs = []


def trial_in(folder: Path, **budget) -> Trial:
    """A trial of train.py that has not begun."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = Identity("script", "train.py", (), str(folder), "0")
    return Trial(folder, identity, Budget(**{"jobs": 2, **budget}))


def conducted(trial: Trial, script: Script, *forced: str, interrupt: int | None = None) -> InventedEngine:
    """Lead the trial to its end; `forced` are tried in place of a prescription."""
    engine = InventedEngine(script, interrupt=interrupt)
    trial.forced = list(forced)
    Conductor(trial, engine, Commands(Program("script", "train.py")), lambda *_: None).conduct()
    return engine


def sick_until_cured(cured_loss: float = 0.1) -> Script:
    """The control stays at 2.3 and sick; every arm is cured."""

    def script(arm: str, repetition: int) -> Outcome:
        wobble = 1 + 0.01 * repetition
        return Outcome(2.3 * wobble, sick=True) if arm == CONTROL else Outcome(cured_loss * wobble**2)

    return script
