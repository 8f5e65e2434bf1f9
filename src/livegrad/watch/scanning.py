"""Drives a scan through one training step: armed after a step, opened by the model's forward, closed after
backward.
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch

from livegrad.probe.scan import ScanResult, StepScan
from livegrad.probe.script_trace import BareModel, ScriptTrace
from livegrad.watch.counterfactuals import Counterfactuals
from livegrad.watch.excess import Excess
from livegrad.watch.failure import describe
from livegrad.watch.kept_steps import StepMemory
from livegrad.watch.layer_table import LayerTable, renumbered
from livegrad.watch.naming import plain_name, unwrap
from livegrad.watch.origin import Origins
from livegrad.watch.record import Record
from livegrad.watch.scan_ticket import Ticket
from livegrad.watch.subject import Subject
from livegrad.watch.subjects import SubjectTable
from livegrad.watch.suspicion import looks_wrong

MOST_UNCLAIMED = 4
MOST_REOPENINGS = 8
MOST_FAILED_SCANS = 3
MOST_PASSES = 512
# A few trained tensors beside a model (latent codes, a temperature) are no network.
FEWEST_MATRICES = 2
NO_MODULE = "the model is no torch.nn.Module, so no copy of it can be run"


class ScanDriver:
    """All scans under way in a session. Between scans it holds nothing.

    cost: seconds spent in scans. excess: by how much the passes under them took longer. odd: whether the last
    looks as if something may be wrong.
    """

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._tickets: list[Ticket] = []
        self._seed = 0
        self.cost = 0.0
        self.excess = Excess()
        self.odd = False
        self.layers = LayerTable()
        self.counterfactuals = Counterfactuals()

    @property
    def busy(self) -> bool:
        return bool(self._tickets)

    def arm(self, subject: Subject, parameter_ids: dict[int, int], alone: bool = False) -> bool:
        """Scan the next step of `subject`; False if it has no module to follow, and is not `alone`.

        Of several forward passes before backward the last is scanned (those before may be a validation that
        nobody differentiates), or all of them if that has failed (a cell that the script itself steps
        through time).
        """
        root = subject.module()
        if root is None:
            return alone and self._arm_bare(subject, parameter_ids)
        if not any(ticket.subject is subject for ticket in self._tickets):
            again = subject.failed_scans > 0
            step = subject.iteration + 1
            self._tickets.append(Ticket(weakref.ref(root), parameter_ids, subject, step, accumulate=again))
        return True

    def _arm_bare(self, subject: Subject, parameter_ids: dict[int, int]) -> bool:
        """Scan a model that no module holds: all that the program computes until its next backward pass."""
        tensors = subject.held_tensors()
        if sum(tensor.ndim >= 2 for tensor in tensors) < FEWEST_MATRICES:
            return False
        if not any(ticket.subject is subject for ticket in self._tickets):
            self._seed += 1
            bare = BareModel(tensors)
            trace = ScriptTrace(bare)
            scan = StepScan(bare, {bare: ""}, parameter_ids, self._seed, self._origins.made_at, trace=trace)
            ticket = Ticket(
                weakref.ref(bare), parameter_ids, subject, subject.iteration + 1, scan,
                thread=threading.get_ident(), bare=bare, trace=trace,
            )  # fmt: skip
            self._tickets.append(ticket)
            self.counterfactuals.kept.excuses.setdefault(subject.id, NO_MODULE)
            self._attempt(ticket, StepScan.open)
        return True

    def enter(self, module: torch.nn.Module, outermost: bool, discover: bool) -> None:
        """A module is about to run; open the scan that waits for it, or on the first step a scan of any
        outermost model.
        """
        if not torch.is_grad_enabled():
            return
        root = unwrap(module) if outermost else module
        ticket = next((t for t in self._tickets if t.root() is root), None)
        if ticket is None and outermost and discover and _trains(root):
            ticket = self._unclaimed(root)
        if ticket is None and outermost:
            self.excess.forward_begins(id(root))
        if outermost and (ticket is None or ticket.subject is None):
            self._enter_part(root)
        if ticket is None or ticket.result is not None:
            return
        if ticket.running and ticket.thread != threading.get_ident():
            return
        ticket.thread = threading.get_ident()
        ticket.running += 1
        if ticket.running > 1 or _is_probed(ticket.scan):
            return
        if ticket.openings >= (MOST_PASSES if ticket.accumulate else MOST_REOPENINGS):
            ticket.reason = f"its forward pass ran over {ticket.openings} times in one step"
            self._drop_scan(ticket)
        elif ticket.scan is None or not ticket.accumulate:
            self._open(ticket, root)
        else:
            ticket.openings += 1

    def _enter_part(self, part: torch.nn.Module) -> None:
        """Open the scan of the model that `part` belongs to: the script calls another method than forward."""
        for ticket in self._tickets:
            root = ticket.root()
            waits = ticket.subject is not None and ticket.scan is None and ticket.result is None
            if waits and root is not None and any(module is part for module in root.modules()):
                ticket.thread = threading.get_ident()
                self._open(ticket, root)

    def leave(self, module: torch.nn.Module, outermost: bool) -> None:
        """A module has run."""
        root = unwrap(module) if outermost else module
        if outermost:
            self.excess.forward_ends(id(root))
        for ticket in self._mine():
            if ticket.running and ticket.root() is root:
                ticket.running -= 1
                if not ticket.running and ticket.entered:
                    ticket.forward = time.perf_counter() - ticket.entered
                    ticket.entered = 0.0

    def before_backward(self, roots: Any) -> None:
        """Give every open scan the loss, unless it has met its own already."""
        loss = roots if isinstance(roots, torch.Tensor) else _largest(roots)
        for ticket in self._mine():
            if loss is not None and ticket.scan is not None and not _is_probed(ticket.scan):
                self._attempt(ticket, lambda scan: scan.before_backward(loss))

    def after_backward(self, failed: bool) -> None:
        """Take the results of the scans whose gradients have passed."""
        for ticket in self._mine():
            if _is_probed(ticket.scan):
                self._attempt(ticket, StepScan.after_backward)
                result = self._attempt(ticket, StepScan.close)
                ticket.result = None if failed else result
                if ticket.scan is not None:
                    ticket.reason, ticket.scan = ticket.scan.reason, None
                self._keep(ticket)

    def _keep(self, ticket: Ticket) -> None:
        """Keep what a counterfactual would need, before the optimizer changes the model."""
        root = ticket.root()
        if ticket.memory is not None and root is not None:
            begun = time.perf_counter()
            names = [plain_name(name) for name, _ in root.named_modules()]
            ticket.memory.keep(root, names, ticket.result)
            ticket.cost += time.perf_counter() - begun

    def _attempt(self, ticket: Ticket, action: Callable[[StepScan], Any]) -> Any:
        """Do the next part of a scan; an error in it ends this scan and nothing else."""
        if ticket.scan is None:
            return None
        begun = time.perf_counter()
        try:
            return action(ticket.scan)
        except Exception as error:
            ticket.reason = f"the scan failed: {describe(error)}"
            with contextlib.suppress(Exception):
                ticket.scan.close()
            ticket.scan = None
            return None
        finally:
            ticket.cost += time.perf_counter() - begun

    def _mine(self) -> list[Ticket]:
        """The scans whose forward pass runs in this thread: function modes and backward passes are a
        thread's own.
        """
        this = threading.get_ident()
        return [ticket for ticket in self._tickets if ticket.thread == this]

    def claim(self, subject: Subject, ids: dict[int, int]) -> bool:
        """`subject` is now known: a scan of its model under way is its own. False if there is none."""
        root = subject.module()
        if root is None:
            return False
        ticket = next((t for t in self._tickets if t.subject is None and t.root() is root), None)
        if ticket is None:
            return False
        ticket.subject = subject
        own = {old: ids[key] for key, old in ticket.parameter_ids.items() if key in ids}
        if ticket.result is not None:
            ticket.result = renumbered(ticket.result, own)
        else:
            ticket.parameter_ids.clear()
            ticket.parameter_ids.update(ids)
        return True

    def finish_step(self, subject: Subject, record: Record, table: SubjectTable, backward: float) -> None:
        """The step of `subject` is over: write its scan, or ask for another try on the next step.

        backward: seconds that its backward passes took, 0 if that was not measured.
        """
        # Of several optimizers of one model the first to step ends the scan, and the next is armed by then.
        due = (t for t in self._tickets if t.subject is subject and t.step <= subject.iteration)
        ticket = next(due, None)
        if ticket is None:
            if backward and subject.root is not None:
                self.excess.plain_backward(id(subject.module()), backward)
            return
        self._drop(ticket)
        begun, step = time.perf_counter(), subject.iteration
        if ticket.result is not None:
            subject.failed_scans = 0
            self._write(ticket.result, subject, record, table)
            if ticket.memory is not None:
                self.counterfactuals.kept.take(subject, ticket.memory)
            if ticket.reason:
                record.note(step, "not_observed", f"{subject.name}: {ticket.reason}")
        else:
            subject.failed_scans += 1
            if subject.failed_scans < MOST_FAILED_SCANS:
                subject.schedule.scan_failed()
            elif subject.failed_scans == MOST_FAILED_SCANS:
                reason = ticket.reason or "its forward pass did not run in the step"
                record.note(step, "not_observed", f"layers of {subject.name}: {reason}")
        self.cost += ticket.cost + time.perf_counter() - begun
        excess = self.excess.add(id(ticket.root()), ticket.forward, backward)
        subject.schedule.paid(scan=ticket.cost + excess + time.perf_counter() - begun)

    def _write(self, result: ScanResult, subject: Subject, record: Record, table: SubjectTable) -> None:
        row = self.layers.row(subject.iteration, subject.id, result)
        record.add_scan(row)
        self.odd = looks_wrong(row)
        fresh = [pairing for pairing in result.pairings if pairing not in subject.pairings]
        subject.pairings += fresh
        news = table.tensors.mark(result.called, result.reached, subject.id, result.cut_off)
        table.changed |= news or bool(fresh) or self.layers.changed
        self.layers.changed = False

    def drop_unclaimed(self) -> None:
        """Forget scans of models that no optimizer has claimed."""
        for ticket in [t for t in self._tickets if t.subject is None]:
            self._drop(ticket)

    def close(self) -> None:
        """Drop every scan and its hooks."""
        for ticket in list(self._tickets):
            self._drop(ticket)

    def _unclaimed(self, root: torch.nn.Module) -> Ticket | None:
        if sum(t.subject is None for t in self._tickets) >= MOST_UNCLAIMED:
            return None
        ticket = Ticket(weakref.ref(root), {id(p): i for i, p in enumerate(root.parameters())})
        self._tickets.append(ticket)
        return ticket

    def _open(self, ticket: Ticket, root: torch.nn.Module) -> None:
        begun = time.perf_counter()
        self._drop_scan(ticket)
        ticket.openings += 1
        self._seed += 1
        try:
            names = {module: plain_name(name) for name, module in root.named_modules()}
            ticket.scan = StepScan(root, names, ticket.parameter_ids, self._seed, self._origins.made_at)
        except Exception as error:
            ticket.reason = f"the scan failed: {describe(error)}"
        ticket.cost += time.perf_counter() - begun
        if ticket.scan is not None and self.counterfactuals.kept.wanting:
            ticket.memory = StepMemory(root)
        self._attempt(ticket, StepScan.open)
        ticket.entered = time.perf_counter()

    def _drop_scan(self, ticket: Ticket) -> None:
        if ticket.memory is not None:
            ticket.memory.close()
        if ticket.scan is not None:
            self._attempt(ticket, StepScan.close)
            ticket.reason = ticket.reason or getattr(ticket.scan, "reason", None)
            ticket.scan = None

    def _drop(self, ticket: Ticket) -> None:
        self._tickets.remove(ticket)
        self._drop_scan(ticket)
        if ticket.trace is not None:
            ticket.trace.remove()


def _is_probed(scan: StepScan | None) -> bool:
    return scan is not None and scan.probed


def _trains(root: torch.nn.Module) -> bool:
    return any(p.requires_grad for p in root.parameters())


def _largest(roots: Any) -> Any:
    """The root of a backward pass over several that most of the graph hangs from: the one made last."""
    tensors = [r for r in roots or () if isinstance(r, torch.Tensor) and r.grad_fn is not None]
    return max(tensors, key=_made, default=None)


def _made(tensor: torch.Tensor) -> int:
    """When the operation behind `tensor` ran, as a number that grows."""
    return tensor.grad_fn._sequence_nr() if tensor.grad_fn is not None else -1
