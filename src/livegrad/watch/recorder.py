"""What happens on each event of a training step. The session around it guards against errors and keeps the
accounts.
"""

import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import torch

from livegrad.run.schema import PulseRow
from livegrad.watch.loss import LossLedger, Site
from livegrad.watch.nesting import running_steps, with_first_call
from livegrad.watch.origin import Origins
from livegrad.watch.pulse import Pulse, take_pulse
from livegrad.watch.record import Record
from livegrad.watch.scanning import ScanDriver
from livegrad.watch.schedule import FIRST_PULSES, FIRST_SCANS, ChangeDetector
from livegrad.watch.stages import StageLedger
from livegrad.watch.subjects import MOST_SUBJECTS, Plan, Subject, SubjectTable, parameters_of

clock = time.perf_counter
DISCOVERY_STEPS = 2
LONGEST_DISCOVERY = 12
MOST_FAILED_SCANS = 3
FIRST_UPDATES = 3
UPDATE_EVERY = 8


class _Thread(threading.local):
    """What belongs to one thread of training."""

    def __init__(self) -> None:
        self.losses = LossLedger()
        self.stages = StageLedger()
        self.depth = 0
        self.scaler: Any = None
        self.scaler_stepped = False
        self.steps: list[tuple[Plan | None, list[Pulse]]] = []


class Recorder:
    """Follows the steps of all subjects. `open_record` is called once, when the first optimizer steps."""

    def __init__(
        self,
        table: SubjectTable,
        origins: Origins,
        open_record: Callable[[], Record],
        optimizers: Sequence[Any],
    ) -> None:
        self.table = table
        self.scans = ScanDriver(origins)
        self.record: Record | None = None
        self.started: float | None = None
        self.scan_count = 0
        self._open_record = open_record
        self._only = weakref.WeakSet(optimizers) if optimizers else None
        self._plans: dict[int, Plan] = {}
        self._thread = _Thread()
        self._sampling = True
        self._forced = False
        self._tracking = True
        self._discovery = LONGEST_DISCOVERY
        self._loss_watch: dict[Site | None, ChangeDetector] = {}
        self._loss_finite = True
        self._failed_scans: dict[int, int] = {}
        # Models named by the caller are known before their first step.
        self._named = bool(table.subjects)
        for subject in table.subjects:
            self._look_ahead(subject, clock())
        self.guard: Callable[[Callable[[], None]], None] = lambda action: action()

    # Module calls: only while models are being found or a scan waits for one.

    def enter_module(self, module: torch.nn.Module) -> None:
        thread = self._thread
        thread.depth += 1
        if thread.depth == 1 and self._discovery:
            self.table.note_call(module)
        self.scans.enter(module, thread.depth == 1, self.record is None and not self._named)

    def leave_module(self, module: torch.nn.Module) -> None:
        thread = self._thread
        thread.depth = max(0, thread.depth - 1)
        self.scans.leave(module, thread.depth == 0)

    # Backward passes and what happens to gradients after them.

    def before_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        thread = self._thread
        thread.stages.begin()
        value = thread.losses.add(args, kwargs, self._sampling, self._tracking)
        if value is not None:
            self._look_at_loss(value, thread.losses.last_site)
        if self.scans.busy:
            self.scans.before_backward(args[0] if args else kwargs.get("tensors"))

    def after_backward(self, failed: bool) -> None:
        if self.scans.busy:
            self.scans.after_backward(failed)

    def before_clip(self, kind: str, gradients: list[Any], frame: FrameType) -> None:
        if self._sampling:
            known = frame.f_locals
            limit = known["max_norm" if kind == "norm" else "clip_value"]
            self._thread.stages.clip(gradients, limit, known.get("total_norm"))

    def loss_scaled(self, outputs: Any, scaled: Any) -> None:
        self._thread.losses.scaled(outputs, scaled)

    def before_unscale(self, scaler: Any, optimizer: Any) -> None:
        if scaler._scale is not None:
            self._thread.stages.unscale(optimizer, scaler._scale)

    def before_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        self._thread.scaler, self._thread.scaler_stepped = scaler, False

    def after_scaler_step(self, scaler: Any, optimizer: Any) -> None:
        """A GradScaler leaves the optimizer alone when it found inf or NaN: record that step from here."""
        thread = self._thread
        if not thread.scaler_stepped:
            self.before_step(optimizer, (), {})
            plan = thread.steps[-1][0] if thread.steps else None
            if plan is not None and self.record is not None:
                text = "GradScaler skipped a step and lowers its scale: the scaled gradient was not finite"
                self.record.note(plan.parts[0].subject.iteration if plan.parts else None, "event", text)
            self.after_step(optimizer)
        thread.scaler = None

    # Optimizer steps.

    def before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take the pulse of this step; returns other arguments for `step` if the gradients only exist
        inside its closure.
        """
        thread = self._thread
        thread.scaler_stepped = True
        if thread.steps and self._is_nested(thread, optimizer):
            thread.steps.append((None, []))
            return None
        plan = self._plan(optimizer)
        pulses: list[Pulse] = []
        thread.steps.append((plan, pulses))
        if plan is None or not plan.parts:
            return None
        if not self._advance(plan, thread.losses.cycle):
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if callable(closure):
            taken = with_first_call(closure, lambda: self.guard(lambda: self._take(plan, optimizer, pulses)))
            return (
                ((args[0], taken, *args[2:]), kwargs)
                if len(args) > 1
                else (args, {**kwargs, "closure": taken})
            )
        self._take(plan, optimizer, pulses)
        return None

    def after_step(self, optimizer: Any) -> None:
        thread = self._thread
        plan, pulses = thread.steps.pop() if thread.steps else (None, [])
        if plan is None:
            return
        thread.losses.close()
        plan.cycle = thread.losses.cycle
        if not plan.parts:
            return
        self._end_step(plan, optimizer, pulses, clock())

    def _end_step(self, plan: Plan, optimizer: Any, pulses: list[Pulse], now: float) -> None:
        record = self.record
        assert record is not None
        plan.steps += 1
        for pulse in pulses:
            begun = clock()
            pulse.end_step(optimizer)
            pulse.cost += clock() - begun
            record.add(pulse)
        for part in plan.parts:
            if self.scans.busy:
                self._collect_scan(part.subject)
            self._look_ahead(part.subject, now)
        self._sampling = any(s.next.pulse or (s.decision.pulse and s.shared) for s in self.table.subjects)
        if self._discovery:
            self._end_discovery()
        if pulses or record.waiting:
            for row in record.write_ready():
                self._look_at_row(row)

    def _is_nested(self, thread: _Thread, optimizer: Any) -> bool:
        """Whether this step runs inside one that already stands for these parameters (SAM, ZeRO); forgets
        steps that raised.
        """
        del thread.steps[max(0, running_steps() - 1) :]
        group = optimizer.param_groups[0]["params"] if optimizer.param_groups else ()
        return any(plan is not None and group and id(group[0]) in plan.members for plan, _ in thread.steps)

    def _plan(self, optimizer: Any) -> Plan | None:
        plan = self._plans.get(id(optimizer))
        if plan is not None and plan.optimizer() is optimizer:
            grown = plan.groups != len(optimizer.param_groups)
            if not grown and (plan.complete or not self._discovery) and not self._is_stale(plan, optimizer):
                return plan
        elif self._only is not None and optimizer not in self._only:
            return None
        return self._make_plan(optimizer)

    def _is_stale(self, plan: Plan, optimizer: Any) -> bool:
        """Whether the optimizer's parameters are not those planned; looked at on sampled steps only."""
        if not self._sampling:
            return False
        return plan.key != tuple(map(id, parameters_of(optimizer)))

    def _make_plan(self, optimizer: Any) -> Plan:
        old = self._plans.get(id(optimizer))
        plan = self.table.plan(optimizer)
        if old is not None and old.optimizer() is optimizer:
            plan.cycle, plan.steps = old.cycle, old.steps
        self._plans[id(optimizer)] = plan
        self._tracking = len(self._plans) > 1
        if not plan.parts and self.record is None:
            return plan
        now = clock()
        if self.record is None:
            self.started = now
            self.record = self._open_record()
        elif plan.parts and not plan.complete:
            self._discovery = LONGEST_DISCOVERY
        if self.table.turned_away:
            self.record.note(
                None, "not_observed", f"models after the first {MOST_SUBJECTS} models of the program"
            )
        ids = self.table.tensors.ids()
        for subject in self.table.subjects:
            if subject.planned < 0:
                subject.planned, subject.next = 0, subject.schedule.decide(0, now)
                self.scans.claim(subject, ids)
        for part in plan.parts:
            if part.subject.iteration >= 0:
                part.subject.schedule.alarm(scan=True)
        return plan

    def _advance(self, plan: Plan, cycle: int) -> bool:
        """Count this step for its subjects; True if it is to be sampled."""
        sampled = self._forced
        for part in plan.parts:
            subject = part.subject
            if cycle != subject.cycle or part.optimizer in subject.stepped:
                subject.iteration += 1
                subject.stepped.clear()
                subject.decision = subject.next
            subject.cycle = cycle
            subject.stepped.add(part.optimizer)
            sampled |= subject.decision.pulse
        self._forced = False
        return sampled

    def _take(self, plan: Plan, optimizer: Any, pulses: list[Pulse]) -> None:
        started = clock()
        thread = self._thread
        scaler = thread.scaler
        pulse = take_pulse(
            plan,
            optimizer,
            tuple(part.subject.iteration for part in plan.parts),
            started - (self.started or started),
            thread.losses.total(plan.members, plan.cycle),
            scaler._scale if scaler is not None else None,
            thread.stages.clips,
            sample_update=self._samples_update(plan),
        )
        pulse.cost = clock() - started
        pulses.append(pulse)

    def _samples_update(self, plan: Plan) -> bool:
        """The applied update is looked at on scanned steps and on every eighth pulse."""
        plan.pulses += 1
        scanned = any(part.subject.decision.scan for part in plan.parts)
        return scanned or plan.pulses <= FIRST_UPDATES or plan.pulses % UPDATE_EVERY == 0

    def _look_ahead(self, subject: Subject, now: float) -> None:
        """Decide about the next step, once."""
        step = subject.iteration + 1
        if subject.planned == step:
            return
        subject.planned = step
        subject.next = subject.schedule.decide(step, now)
        if subject.next.scan:
            tries = self._failed_scans.get(subject.id, 0)
            armed = self.scans.arm(subject, self.table.tensors.ids(), accumulate=tries > 0)
            if not armed and subject.root is None and self.record is not None:
                text = f"layers of {subject.name}: no torch.nn.Module in sight holds these tensors"
                self.record.note(step, "not_observed", text)

    def _collect_scan(self, subject: Subject) -> None:
        ticket = self.scans.collect(subject)
        if ticket is None or self.record is None:
            return
        step = subject.iteration
        if ticket.result is None:
            tries = self._failed_scans[subject.id] = self._failed_scans.get(subject.id, 0) + 1
            if tries < MOST_FAILED_SCANS:
                subject.schedule.scan_failed()
            else:
                reason = ticket.reason or "its forward pass did not run in the step"
                self.record.note(step, "not_observed", f"layers of {subject.name}: {reason}")
        else:
            self._failed_scans.pop(subject.id, None)
            started = clock()
            self.record.writer.scan(self.scans.row(step, subject, ticket.result))
            self.table.tensors.mark(ticket.result.called, ticket.result.reached, subject.id)
            if ticket.reason:
                self.record.note(step, "not_observed", f"{subject.name}: {ticket.reason}")
            self.scan_count += 1
            self.table.changed = True
            ticket.cost += clock() - started
        subject.schedule.paid(scan=ticket.cost + ticket.forward, first=step <= FIRST_SCANS[-1])

    def _end_discovery(self) -> None:
        """Stop watching module calls once every optimizer's models are known, or after a dozen steps."""
        self._discovery -= 1
        plans = [p for p in self._plans.values() if p.parts]
        if self._discovery and not all(p.complete and p.steps >= DISCOVERY_STEPS for p in plans):
            return
        self._discovery = 0
        self.scans.drop_unclaimed()

    def calls_wanted(self) -> bool:
        """Whether module calls still have to be watched."""
        return bool(self._discovery) or self.scans.busy

    # Changes that call for a closer look.

    def _look_at_loss(self, value: float, site: Site | None) -> None:
        finite = math.isfinite(value)
        detector = self._loss_watch.get(site)
        if detector is None:
            detector = self._loss_watch[site] = ChangeDetector()
        if (not finite and self._loss_finite) or detector.spike(value):
            self._alarm(scan=finite)
        self._loss_finite = finite

    def _alarm(self, scan: bool) -> None:
        """Sample this very step and the next ones."""
        self._forced = self._sampling = True
        for subject in self.table.subjects:
            subject.schedule.alarm(scan)

    def _look_at_row(self, row: PulseRow) -> None:
        subject = self.table.subjects[row.subject]
        subject.schedule.paid(pulse=row.cost, first=row.step < FIRST_PULSES)
        spike = subject.gradient_watch.spike(math.sqrt(max(row.gradient_sum_squares, 0.0)))
        broken = row.nonfinite > 0 or (row.loss is not None and not math.isfinite(row.loss))
        if broken and not subject.broken:
            assert self.record is not None
            what = (
                "the loss" if row.loss is not None and not math.isfinite(row.loss) else "a gradient or weight"
            )
            self.record.note(row.step, "event", f"{subject.name}: {what} is not finite at step {row.step}")
        if spike or row.loss_scale < subject.loss_scale or (broken and not subject.broken):
            subject.schedule.alarm(scan=spike)
        subject.broken, subject.loss_scale = broken, row.loss_scale

    def finish(self) -> None:
        """Write everything that still waits for a device."""
        self.scans.close()
        if self.record is not None:
            self.record.write_ready(wait=True)
