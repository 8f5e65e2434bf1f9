"""What happens on each event of a training step.

An ordinary step, on which nothing is recorded, passes through here in a few microseconds; everything that
takes longer runs under `lock`. The session around it turns errors into a detach and keeps the accounts.
"""

import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch

from livegrad.watch.alarms import LossAlarm
from livegrad.watch.compilation import is_capturing
from livegrad.watch.costs import Costs
from livegrad.watch.forensics import Forensics
from livegrad.watch.loss import LossLedger
from livegrad.watch.nesting import in_compiled_function, with_first_call
from livegrad.watch.origin import Origins
from livegrad.watch.plan import Plan
from livegrad.watch.plans import Plans, is_stale
from livegrad.watch.pulse import Pulse, take_pulse
from livegrad.watch.record import Record
from livegrad.watch.sampling import Sampling
from livegrad.watch.scanning import ScanDriver
from livegrad.watch.subjects import SubjectTable
from livegrad.watch.training_thread import TrainingThread
from livegrad.watch.vigil import Vigil

clock = time.perf_counter
CALLS_BEFORE_TRAINING = 64
CALLS_IN_A_STEP = 600
COMPILED_STEPS = (
    "steps after the first: optimizer.step() runs inside a function compiled by torch.compile, where it "
    "cannot be seen; leave optimizer.step() out of that function"
)
FIRST_UPDATES = 3
UPDATE_EVERY = 8


class Recorder:
    """Follows the steps of all subjects.

    open_record: called once, when the first optimizer steps. guard: runs an action as the session runs its
    own methods, for what is called back from the user's closure. spent: the session's own seconds so far.
    """

    def __init__(
        self,
        table: SubjectTable,
        origins: Origins,
        optimizers: Sequence[Any],
        open_record: Callable[[], Record],
        guard: Callable[[Callable[[], None]], None],
        spent: Callable[[], float],
        budget: float = 0.01,
    ) -> None:
        self.lock = threading.RLock()
        self.table = table
        self.plans = Plans(table, optimizers)
        self.scans = ScanDriver(origins)
        self.forensics = Forensics(table)
        self.costs = Costs(spent, self.scans, self.forensics)
        self.record: Record | None = None
        self._open_record = open_record
        self._guard = guard
        self._thread = TrainingThread()
        self._sampling = Sampling(table, self.scans)
        self._vigil = Vigil(self.forensics, budget)
        self._calls = 0
        self._loss_alarm = LossAlarm()
        # Models named by the caller are known before their first step.
        self._named = bool(table.subjects)
        for subject in table.subjects:
            subject.schedule.rest = self.costs.beside
            self._sampling.look_ahead(subject, clock(), None, self.lock)

    # Module calls: only while models are being found or a scan waits for one.

    def calls_wanted(self) -> bool:
        """Whether module calls still have to be watched.

        Not through a long evaluation, which would all run eagerly: then the next step says whom it trains.
        """
        patient = self._calls < (CALLS_BEFORE_TRAINING if self.record is None else CALLS_IN_A_STEP)
        return patient and (self.plans.discovering or self.scans.busy)

    def enter_module(self, module: torch.nn.Module) -> None:
        state = self._thread.state
        state.depth += 1
        if state.depth == 1:
            self._calls += 1
            if self.plans.discovering:
                self.table.note_call(module)
            self.forensics.enter_module(module)
        self.scans.enter(module, state.depth == 1, self.record is None and not self._named)

    def leave_module(self, module: torch.nn.Module) -> None:
        state = self._thread.state
        state.depth = max(0, state.depth - 1)
        self.scans.leave(module, state.depth == 0)

    # Backward passes and what happens to gradients after them.

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Take note of the loss; True if `after_backward` is wanted too."""
        state = self._thread.state
        state.stages.clips = []
        # With one optimizer every backward pass is its own, and nobody needs to know the line that called it.
        track = self.record is None or self.plans.several
        value = state.losses.add(args, kwargs, self._sampling.wanted, track)
        if value is not None and self._loss_alarm.jumps(value, state.losses.last_site):
            self._sample_now(scan=value == value)
        roots = args[0] if args else kwargs.get("tensors")
        self._vigil.before_backward(roots, value, bool(state.steps))
        if self.scans.busy:
            with self.lock:
                self.scans.before_backward(roots)
        elif not self._sampling.wanted:
            return False
        state.backward_began = clock()
        return True

    def saw_backward(self) -> bool:
        """Whether this thread has run a backward pass since the last step."""
        return not self._thread.state.losses.empty

    def after_backward(self, failed: bool) -> None:
        state = self._thread.state
        state.backward += clock() - state.backward_began
        if self.scans.busy:
            self.scans.after_backward(failed)

    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        if self._sampling.wanted and not is_capturing():
            known = frame.f_locals
            limit = known["max_norm" if kind == "norm" else "clip_value"]
            self._thread.state.stages.clip(gradients, limit, known.get("total_norm"))

    def loss_scaled(self, outputs: Any, scaled: Any) -> None:
        self._thread.state.losses.scaled(outputs, scaled)

    def before_unscale(self, scaler: Any, optimizer: Any) -> None:
        if scaler._scale is not None:
            self._thread.state.stages.unscale(optimizer, scaler._scale)

    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        state = self._thread.state
        state.scaler, state.scaler_stepped = scaler, False

    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        """A GradScaler leaves the optimizer alone when it found inf or NaN: record that step from here."""
        state = self._thread.state
        if not state.scaler_stepped:
            self.before_step(optimizer, (), {})
            plan = state.steps[-1][0] if state.steps else None
            if plan is not None and plan.parts and self.record is not None:
                text = "GradScaler skipped a step and lowers its scale: the scaled gradient was not finite"
                self.record.note(plan.parts[0].subject.iteration, "event", text)
            self.after_step(optimizer)
        state.scaler = None

    # Optimizer steps.

    def before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take the pulse of this step.

        Returns other arguments for `step` if the gradients will only exist inside its closure.
        """
        state = self._thread.state
        state.scaler_stepped = True
        if state.steps and state.is_nested(optimizer):
            state.steps.append((None, []))
            return None
        plan = self.plans.known(optimizer)
        if plan is None or (self._sampling.wanted and is_stale(plan, optimizer)):
            plan = self._make_plan(optimizer)
        if self._vigil.before_step(plan, optimizer, state.scaler):
            self._sample_now(scan=False)
        pulses: list[Pulse] = []
        state.steps.append((plan, pulses))
        if plan is None:
            return None
        sampled = self._sampling.advance(plan, state.losses.cycle)
        self._keep_loss(plan, state.losses)
        if not sampled or is_capturing():
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if callable(closure):
            taken = with_first_call(closure, lambda: self._guard(lambda: self._take(plan, optimizer, pulses)))
            if len(args) > 1:
                return (args[0], taken, *args[2:]), kwargs
            return args, {**kwargs, "closure": taken}
        self._take(plan, optimizer, pulses)
        return None

    def _keep_loss(self, plan: Plan, losses: LossLedger) -> None:
        """Keep the loss of this step, if one optimizer trains all models, and it is known at once and not
        computed in a closure.
        """
        if self.record is not None and not self.plans.several:
            loss = losses.total(plan.members, plan.cycle)
            if type(loss) is float:
                with self.lock:
                    for part in plan.parts:
                        self.record.add_loss(part.subject.iteration, part.subject.id, loss)

    def after_step(self, optimizer: Any) -> None:
        """The step has been applied: finish its pulse and scan, decide about the next step."""
        state = self._thread.state
        plan, pulses = state.steps.pop() if state.steps else (None, [])
        if plan is None:
            return
        self._calls = 0
        self._vigil.step_over(self.costs.opening is None)
        state.losses.close()
        plan.cycle = state.losses.cycle
        plan.steps += 1
        record = self.record
        if record is None or not plan.parts:
            return
        if pulses or self.scans.busy or self.plans.discovering or record.waiting:
            with self.lock:
                self._finish_step(plan, optimizer, pulses, record, state.backward)
        state.backward = 0.0
        now = clock()
        for part in plan.parts:
            if part.subject.planned <= part.subject.iteration:
                self._sampling.look_ahead(part.subject, now, record, self.lock)
        if self.costs.opening is None:
            self.costs.note_opening(now, self.table.subjects)
        self._sampling.step_over()

    def open_for_origin(self) -> Record | None:
        """Something broke before any optimizer stepped: open the record for it; None if nothing did."""
        root = self.forensics.root()
        if root is None or self.table.enter(root) is None:
            return None
        self.costs.started = clock()
        self.record = self._open_record()
        return self.record

    def finish(self) -> None:
        """Write everything that still waits for a device."""
        self.scans.close()
        if self.record is not None:
            self.record.write_ready(wait=True)
            self.record.write_losses()

    def _finish_step(
        self, plan: Plan, optimizer: Any, pulses: list[Pulse], record: Record, backward: float
    ) -> None:
        for pulse in pulses:
            begun = clock()
            pulse.end_step(optimizer)
            pulse.cost += clock() - begun
            record.add(pulse)
        for part in plan.parts:
            self.scans.finish_step(part.subject, record, self.table, backward)
        if self.plans.discovering:
            self.plans.step_taken()
            if not self.plans.discovering:
                self.scans.drop_unclaimed()
        for row in record.write_ready():
            subject = self.table.subjects[row.subject]
            self.costs.pulse(row.cost)
            subject.schedule.paid(pulse=row.cost)
            change = subject.alarm.look(row)
            if change.text is not None:
                record.note(row.step, "event", f"{subject.name}: {change.text} at step {row.step}")
            if change.alarm:
                self._vigil.wake()
                subject.schedule.alarm(change.scan, on_credit=change.lasting)

    def _make_plan(self, optimizer: Any) -> Plan | None:
        if not self.plans.is_watched(optimizer):
            return None
        with self.lock:
            plan = self.plans.make(optimizer)
            now = clock()
            if self.record is None and plan.parts:
                self.costs.started = now
                self.record = self._open_record()
            if self.record is not None:
                self._note_limits(self.record)
            ids = self.table.tensors.ids()
            for subject in self.table.subjects:
                if subject.planned < 0:
                    subject.schedule.rest = self.costs.beside
                    subject.planned, subject.next = 0, subject.schedule.decide(0, now)
                    if not self.scans.claim(subject, ids):
                        subject.schedule.scan_failed()
            for part in plan.parts:
                if part.subject.iteration >= 0:
                    part.subject.schedule.alarm(scan=True)
        return plan

    def _note_limits(self, record: Record) -> None:
        """Write down what will not be seen, and what compiled models do differently while they are."""
        if in_compiled_function():
            record.note(None, "not_observed", COMPILED_STEPS)
        for text in self.table.turned_away:
            record.note(None, "not_observed", text)
        for subject in self.table.subjects:
            if subject.compiled:
                text = f"{subject.name} is compiled: the first two steps and scanned ones run eagerly"
                record.note(None, "event", text)

    def _take(self, plan: Plan, optimizer: Any, pulses: list[Pulse]) -> None:
        begun = clock()
        state = self._thread.state
        # The weights and the applied update are looked at on scanned steps, on every eighth pulse, and while
        # something is not finite.
        plan.pulses += 1
        wanted = any(part.subject.decision.scan or part.subject.alarm.broken for part in plan.parts)
        with self.lock:
            pulse = take_pulse(
                plan,
                optimizer,
                tuple(part.subject.iteration for part in plan.parts),
                begun - self.costs.started,
                state.losses.total(plan.members, plan.cycle),
                state.scaler._scale if state.scaler is not None else None,
                state.stages.clips,
                wanted or plan.pulses <= FIRST_UPDATES or plan.pulses % UPDATE_EVERY == 0,
            )
        pulse.cost = clock() - begun
        pulses.append(pulse)

    def _sample_now(self, scan: bool) -> None:
        """Sample this very step and the next ones, with all there is."""
        self._vigil.wake()
        self._sampling.force(scan)
