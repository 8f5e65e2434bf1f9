"""How a trial goes: the control first, then what it calls for, then every arm beside the control.

    conduct(trial, engine, commands, tell)

Everything that was finished is on disk the moment it is, so that a trial goes on where it was interrupted.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from livegrad.diagnose.number import count
from livegrad.diagnose.standstill import worth_a_try
from livegrad.errors import LivegradError
from livegrad.run.reader import Run
from livegrad.treat.trial.arm import CONTROL, Arm, ArmRun
from livegrad.treat.trial.budget import FEWEST_STEPS, MOST_SEEDS
from livegrad.treat.trial.commands import PRESCRIPTION, Commands
from livegrad.treat.trial.conclusion import effects, is_promising, winner_of
from livegrad.treat.trial.course import Course
from livegrad.treat.trial.engine import Engine, Job
from livegrad.treat.trial.reading import UNRECORDED, choose_metric, error_codes, open_run, read_run
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.stopping import lost
from livegrad.treat.trial.watching import Ended, Tell, Watch

# Seeds are added as long as the trial has not taken this many times its minutes.
_PATIENCE = 1.5
_ADDED_SEEDS = 2


class TrialError(LivegradError):
    """The trial cannot go on: the script fails by itself, or never trains."""


@dataclass
class Conductor:
    """Leads one trial to its end. tell: is called often with what is running."""

    trial: Trial
    engine: Engine
    commands: Commands
    tell: Tell
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._watch = Watch(self.trial, self.engine, self.tell)
        # A result is shown again as it was: nothing is added to it that was not asked for.
        self._adds = self.trial.status != "finished"

    def conduct(self) -> None:
        """Lead the trial to its end. Raises TrialError; whatever is raised, no job is left running and no
        folder of an unfinished run.
        """
        try:
            self._control()
            if self._sick() or self.trial.forced:
                self._choose_arms()
                self._try_all()
            self.trial.status = "finished"
        except TrialError as error:
            self.trial.status, self.trial.failure = "failed", str(error)
            raise
        finally:
            self.engine.close()
            self.trial.forget_unfinished()
            self.trial.save()

    # The control.

    def _control(self) -> None:
        trial = self.trial
        trial.status, trial.failure = "running", None
        if (CONTROL, 0) not in trial.runs:
            trial.save()
            asked = trial.budget.steps
            seconds = None if asked else trial.budget.control_seconds()
            self._start(trial.arms[0], 0, asked, seconds)
            while len(self._watch):
                self._collect()
        first = trial.runs[CONTROL, 0]
        if first.steps == 0 or (first.end == "failed" and not first.findings):
            del trial.runs[CONTROL, 0]
            raise TrialError(_why_no_control(first))
        if trial.metric is None:
            run = open_run(trial.run_folder(CONTROL, 0))
            assert run is not None
            trial.metric = choose_metric(run, first.findings)
            level = Course.of(run, trial.metric["subject"])
            trial.runs[CONTROL, 0] = _with_course(first, level) if first.end != "failed" else first
            trial.steps = trial.budget.steps or _steps_for_all(first)
            trial.whole = first.end == "finished" and self._ended_by_itself(first, run)
            trial.save()

    def _ended_by_itself(self, first: ArmRun, run: Run) -> bool:
        """Whether it was the script that ended the control, and not its limit."""
        budget = self.trial.budget
        if budget.steps is not None:
            return first.steps < budget.steps
        return first.steps < FEWEST_STEPS or run.info.seconds < budget.control_seconds()

    def _sick(self) -> bool:
        """Whether anything was found, or the control ended by itself and may learn more."""
        if self.trial.runs[CONTROL, 0].findings:
            return True
        run = open_run(self.trial.run_folder(CONTROL, 0))
        return self.trial.whole and run is not None and bool(worth_a_try(run))

    # The arms.

    def _choose_arms(self) -> None:
        trial = self.trial
        if trial.forced:
            self._add_arms([Arm.of(spec) for spec in trial.forced])
            return
        if trial.prescription is None:
            trial.prescription = self._prescribe()
        self._add_arms(trial.proposed[: trial.budget.arms])

    def _add_arms(self, arms: Sequence[Arm]) -> bool:
        """Whether any of `arms` is new; it is tried then."""
        known = {arm.name for arm in self.trial.arms}
        new = [arm for arm in {arm.name: arm for arm in arms}.values() if arm.name not in known]
        self.trial.arms += new
        self.trial.save()
        return bool(new)

    def _next_best(self) -> bool:
        """Whether further proposals are tried: where none of the first is better, and time is left. Of one
        seed none can be proven better, and one that looks well is as good as it gets.
        """
        trial = self.trial
        if trial.budget.seeds == 1 and is_promising(trial):
            return False
        if not self._adds or trial.forced or winner_of(trial) is not None or self._is_over(1.0):
            return False
        return self._add_arms(trial.untried[: trial.budget.arms])

    def _is_over(self, patience: float) -> bool:
        """Whether the trial has taken so many times its minutes."""
        return time.monotonic() - self._began > patience * 60 * self.trial.budget.minutes

    def _prescribe(self) -> dict[str, Any]:
        """Ask the script itself, in a process of its own, at the moment its model is about to train."""
        folder = self.trial.folder / "arms" / PRESCRIPTION
        control = open_run(self.trial.run_folder(CONTROL, 0))
        assert control is not None
        job = Job(PRESCRIPTION, 0, self.commands.prescribe(control.path, folder), folder)
        self._watch.start(job)
        ended: list[Ended] = []
        while not ended:
            ended = self._watch.wait()
        return self.commands.read_prescription(folder, ended[0].code)

    def _try_all(self) -> None:
        """Run every arm with every seed; where there is time, add seeds for what is undecided, and arms where
        nothing helps.
        """
        while True:
            while (following := self._next()) is not None or len(self._watch):
                while following is not None and self._watch.has_room:
                    self._start(*following, self.trial.steps, None)
                    following = self._next()
                self._collect()
            if not self._add_seeds() and not self._next_best():
                return

    def _next(self) -> tuple[Arm, int] | None:
        """The next run to make: all arms with one seed before any with the next, the control first."""
        trial = self.trial
        busy = self._watch.busy
        for repetition in range(trial.budget.seeds):
            for arm in trial.arms:
                wanted = not arm.is_control or len(trial.over) < len(trial.candidates)
                key = arm.name, repetition
                if wanted and arm.name not in trial.over and key not in trial.runs and key not in busy:
                    if repetition and not self._judged(arm):
                        continue
                    return arm, repetition
        return None

    def _judged(self, arm: Arm) -> bool:
        """Whether it is known if the arm goes on after its first seed; the control waits for the first arm
        that does.
        """
        if not arm.is_control:
            return (arm.name, 0) in self.trial.runs
        alive = [a for a in self.trial.candidates if a.name not in self.trial.dropped]
        return any((a.name, 0) in self.trial.runs for a in alive)

    def _add_seeds(self) -> bool:
        """Whether two more seeds were added: once, if an arm that may win is undecided and time is left."""
        trial = self.trial
        alive = [arm for arm in trial.candidates if arm.name not in trial.dropped]
        found = effects(trial)
        winner = next((arm for arm in alive if arm.name == winner_of(trial)), None)
        undecided = [
            arm.name
            for arm in alive
            if found[arm.name].verdict == "undecided" and (winner is None or arm.size < winner.size)
        ]
        seeds = trial.budget.seeds
        may = self._adds and not trial.looks and 2 <= seeds < MOST_SEEDS and not self._is_over(_PATIENCE)
        if not undecided or not may:
            return False
        for arm in alive:
            if arm.name not in undecided:
                trial.settled.append(arm.name)
        trial.budget = replace(trial.budget, seeds=min(MOST_SEEDS, seeds + _ADDED_SEEDS))
        trial.looks = 1
        trial.save()
        return True

    # Jobs.

    def _start(self, arm: Arm, repetition: int, steps: int | None, seconds: float | None) -> None:
        folder = self.trial.run_folder(arm.name, repetition)
        control = None if arm.is_control else open_run(self.trial.run_folder(CONTROL, 0))
        history = control.path if control is not None else None
        arguments = self.commands.run(arm, repetition, folder, steps, seconds, history)
        job = Job(arm.name, repetition, arguments, folder)
        self._watch.start(job)

    def _collect(self) -> None:
        """Wait a little; note what ended, and end what is hopeless."""
        for ended in self._watch.wait():
            self._note(self._read(ended.job, ended.code, ended.seconds))
        for job, why in self._watch.lost():
            seconds = self._watch.end(job)
            self._note(replace(self._read(job, 0, seconds), end="stopped", reason=why))

    def _read(self, job: Job, code: int, seconds: float) -> ArmRun:
        return read_run(job, code, self.trial.folder, self._subject, self.trial.steps, seconds)

    @property
    def _subject(self) -> str | None:
        return (self.trial.metric or {}).get("subject")

    def _note(self, run: ArmRun) -> None:
        """Keep a finished run, and say whether its arm goes on."""
        trial = self.trial
        trial.add(run)
        if run.arm == CONTROL or run.arm in trial.dropped or run.repetition:
            return
        self._drop_twins(run)
        why = run.reason if run.end in ("failed", "refused", "stopped") else None
        control = trial.runs.get((CONTROL, 0))
        if why is None and control is not None and run.loss is not None and control.loss is not None:
            noise = self._noise(run, control)
            why = lost(run.loss, control.loss, noise, error_codes(run.findings))
        if why is not None:
            trial.dropped[run.arm] = why
            self._watch.end_all_of(run.arm)
            trial.save()

    def _drop_twins(self, run: ArmRun) -> None:
        """Of two arms that did the same, because a remedy of one was left out, the smaller goes on."""
        trial = self.trial
        others = [trial.runs.get((arm.name, 0)) for arm in trial.candidates if arm.name != run.arm]
        twin = next((o for o in others if o is not None and o.applied and o.applied == run.applied), None)
        if twin is None or twin.arm in trial.dropped:
            return
        arms = {arm.name: arm for arm in trial.candidates}
        kept, dropped = sorted((twin, run), key=lambda one: arms[one.arm].size)
        trial.twins.append(dropped.arm)
        trial.dropped[dropped.arm] = f"the same as {kept.arm} here" + (
            f": {dropped.left_out}" if dropped.left_out else ""
        )
        self._watch.end_all_of(dropped.arm)

    def _noise(self, *runs: ArmRun) -> float:
        courses = []
        for run in runs:
            opened = open_run(self.trial.run_folder(run.arm, run.repetition))
            if opened is not None:
                courses.append(Course.of(opened, self._subject).noise)
        return math.hypot(*courses)


def _with_course(run: ArmRun, course: Course) -> ArmRun:
    """The run with the losses of the model that turned out to be the one that counts."""
    level = course.level
    first = float(course.losses[0]) if len(course) else None
    return replace(run, loss=None if math.isnan(level) else level, best=course.best, first=first)


def _steps_for_all(first: ArmRun) -> int:
    """The steps of every run: as many as the control took; where it failed, room to get beyond that."""
    return max(first.steps, FEWEST_STEPS) if first.end != "failed" else max(10 * first.steps, 200)


def _why_no_control(run: ArmRun) -> str:
    if run.steps:
        return (
            f"the program fails by itself, after {count(run.steps)} optimizer steps: {run.reason}. "
            "Until then nothing ails its gradients, so there is nothing to treat; mend that first"
        )
    if run.reason and run.reason.startswith(UNRECORDED):
        return f"{run.reason}. Once that is mended the same command goes on"
    if run.exit_code and "EOFError" in str(run.reason):
        return (
            "the program reads its standard input, which the runs of a trial have none of. Give it what it "
            "asks for as an argument, or from a file"
        )
    if run.exit_code:
        return (
            f"the program fails by itself, before its first optimizer step: {run.reason}. "
            "Nothing was treated; run it with plain python first, and give its arguments behind its name"
        )
    return (
        "the program took no optimizer step in its own process, so there is no training to treat. "
        "If it needs arguments, give them behind its name; training in processes that it starts is not seen"
    )
