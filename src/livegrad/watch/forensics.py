"""The forensics of a session: notices the first loss, gradient or weight that is not finite on any step, and
finds out what made it, before the step that would destroy the evidence.

On an ordinary step this keeps what the modules were given (by reference) and looks at a few small gradients,
some microseconds in all. The search runs at most three times in a run.
"""

import math
import time
import traceback
from collections import deque
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.forensics.finding_out import Found, Notes, in_backward, in_forward
from livegrad.probe.forensics.operand import flaw
from livegrad.probe.forensics.replay import Call
from livegrad.probe.forensics.script_part import script_nodes
from livegrad.probe.function_mode import next_number
from livegrad.probe.module_calls import start_listening, stop_listening
from livegrad.probe.obstacle import in_transform
from livegrad.probe.operation import tensors_in
from livegrad.watch.broken_weight import Stepped, broken_weight
from livegrad.watch.compilation import has_compiled
from livegrad.watch.evidence import broken_tensors, speaks_of_nan
from livegrad.watch.kept_calls import KeptCalls
from livegrad.watch.loss_guard import MOST_NODES, LossGuard
from livegrad.watch.loss_lines import LossLines
from livegrad.watch.nesting import in_compiled_function
from livegrad.watch.nonfinite_origins import NonfiniteOrigins
from livegrad.watch.plan import Plan
from livegrad.watch.sentinel import Sentinels, is_broken
from livegrad.watch.subject import parameters_of
from livegrad.watch.subjects import SubjectTable

MOST_SEARCHES = 3
FEW_NODES = 16
MOST_UNFINISHED = 4
PATIENCE = 8
FIRST_BACKWARDS = 4
BLACK_BOX = 64


class Forensics:
    """What a recorder tells this, in the order of a step: `enter_module`, `leave_module` (only while calls
    are watched), `before_backward`, `before_step`, `after_step`; `examine` at the end.

    origins: the NonfiniteOrigin of each event, as run.json has them. cost: seconds spent on searches.
    """

    def __init__(self, table: SubjectTable) -> None:
        self.cost = 0.0
        self.closed = False
        self.searching = False
        self._calls = KeptCalls()
        self._calls.on_enter, self._calls.on_leave = self._entered, self._left
        self._lines = LossLines()
        self._guard = LossGuard()
        self._sentinels = Sentinels()
        self._stepped = Stepped()
        self._origins = NonfiniteOrigins(table)
        self._backwards = 0
        self._began_at: int | None = None
        self._backward_at = 0
        self._patience = PATIENCE
        self._searches = 0
        self._steps = 0
        self._modules_called = False
        self._losses: deque[float] = deque(maxlen=BLACK_BOX)
        self._late: nn.Module | None = None
        self._noted: Call | None = None

    # The calls of modules.

    def enter_module(self, module: nn.Module) -> None:
        """An outermost module is about to run; from its next call on it is heard by itself."""
        self._modules_called |= not in_transform()
        if self.closed or not torch.is_grad_enabled():
            return
        if in_compiled_function():
            self._lines.forget()
            return
        # While module calls are watched whatever is compiled runs eagerly: only then may a mode be on.
        self._lines.wanted = True
        if self._calls.knows(module):
            return
        self._lines.pause()
        if self._calls.watch(module):
            # This very call has begun already, and tells its arguments to listeners only.
            self._late = module
            start_listening(self)

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        if module is not self._late:
            return False
        self._late = None
        self._noted = self._calls.enter(module, args, kwargs)
        return self._noted is not None

    def leave(self, module: nn.Module, output: Any, failed: bool) -> None:
        stop_listening(self)
        if self._noted is not None:
            self._calls.leave(self._noted, None if failed else output)
            self._noted = None

    def _entered(self) -> None:
        self._lines.pause()
        self._calls.forget(self._steps - (len(self._stepped) or 1))

    def _left(self) -> None:
        if self._origins.doubtful and not has_compiled():
            self._lines.wanted = True
        self._lines.begin()

    # The events of a step.

    def before_backward(self, roots: Any, value: float | None, inside_step: bool) -> None:
        """A backward pass is about to run; value: its loss where that is known."""
        if self.closed:
            return
        self._lines.pause()
        plain = roots.__class__ is Tensor and roots.grad_fn is not None
        found = [roots] if plain else [t for t in tensors_in(roots) if t.grad_fn is not None]
        if value is not None and not math.isfinite(value) and not self._origins:
            self._search(lambda notes: self._in_forward(found, notes), inside_step)
            return
        if value is not None:
            self._losses.append(value)
        self._backwards += 1
        self._backward_at = next_number()
        if not found:
            return
        root: Any = found[0].grad_fn if plain else max(found, key=number_of).grad_fn
        if self._backwards <= FIRST_BACKWARDS:
            self._sentinels.learn(root)
        if self._lines.wanted:
            program = self._lines.take(script_nodes([root], self._calls.made, beyond=True))
            if program is not None:
                self._origins.learn_line(program)
        if found[0].is_cpu and not self._origins:
            # Where no call is kept (a compiled model) the loss is what lies nearest to its root.
            self._guard.arm(root, self._calls.made, MOST_NODES if self._calls.calls else FEW_NODES)
            self._began_at = root._sequence_nr()

    def before_step(self, plan: Plan | None, optimizer: Any, scaler: Any) -> bool:
        """An optimizer is about to step; True if its gradient is found not to be finite.

        scaler: the GradScaler that decides over this step, or None.
        """
        self._lines.pause()
        if self.closed or self._origins or plan is None or not plan.parts:
            return False
        self._stepped.note(optimizer)
        watched = self._sentinels.of(plan, optimizer)
        broken = bool(self._guard.hits) or is_broken(watched)
        self._stepped.gradient_was_finite = not broken and bool(watched)
        if broken and not is_scaled(scaler):
            self._search(lambda notes: self._in_gradient(optimizer, notes), False)
            return True
        return False

    def after_step(self) -> None:
        """The step has been taken; the next call of a module begins another."""
        self._steps += 1
        self._calls.step = self._steps
        if self._origins:
            self._patience -= 1
            if not self._origins.doubtful or not self._patience:
                self.close()  # the first is what counts: all that follows comes of it
                return
        self._guard.clear()
        self._lines.forget()
        few = self._steps < FIRST_BACKWARDS or self._origins.doubtful
        if few and not self._modules_called and not has_compiled():
            # No module was called: all there is to hear is what the program computes between two steps.
            self._lines.wanted = True
            self._lines.begin()

    def examine(self, error: BaseException | None) -> None:
        """The program has ended, by this exception if by one; its variables are still there.

        If something in them is not finite, find out why.
        """
        if self.closed or self._origins:
            return
        trace = error.__traceback__ if error is not None else None
        broken = broken_tensors(trace)
        if broken or (error is not None and speaks_of_nan(str(error))):
            self._search(lambda notes: self._after_crash(broken, notes), False)
        elif unfinished := self._unfinished():
            # A program that has noticed by itself stops between forward and backward, with no exception.
            self._search(lambda notes: in_forward(unfinished, [], (), notes), False, unless_unknown=True)

    def _unfinished(self) -> list[Call]:
        """The last calls, if no backward pass came after them."""
        calls = [call for call in self._calls.calls if call.step == self._steps]
        return [call for call in calls if call.first >= self._backward_at][-MOST_UNFINISHED:]

    @property
    def calls_cost(self) -> float:
        """Seconds spent in the calls of modules."""
        return self._calls.cost

    def rest(self, resting: bool) -> None:
        """Keep nothing of the steps to come, or do so again."""
        self._calls.awake = not resting
        if resting:
            self._calls.calls.clear()
            self._lines.forget()
            self._guard.clear()

    def close(self) -> None:
        """Let go of everything."""
        self.closed = True
        self._calls.close()
        self._lines.forget()
        self._guard.clear()
        stop_listening(self)

    # What is known in the end.

    def root(self) -> nn.Module | None:
        """The model of what was found, where no subject is known; None if nothing was found."""
        return self._origins.root(self._called())

    def to_json(self) -> list[dict[str, Any]]:
        """The origins as run.json holds them."""
        return self._origins.to_json()

    def _called(self) -> list[nn.Module]:
        return [module for call in self._calls.calls if (module := call.module()) is not None]

    # Searching.

    def _search(self, look: Any, inside_step: bool, unless_unknown: bool = False) -> None:
        if self._searches >= MOST_SEARCHES or self._origins:
            return
        self._searches += 1
        self.searching = True
        begun = time.perf_counter()
        notes = Notes([])
        try:
            with torch.enable_grad():
                found = self._known() or look(notes)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            notes.add(f"the search failed: {type(error).__name__}: {error} ({where.filename}:{where.lineno})")
            found = None
        finally:
            self.searching = False
        if found is not None or not unless_unknown:
            found = found or Found("?", certain=False, note="; ".join(notes.texts) or None)
            self._origins.keep(found, self._called(), self._losses, inside_step)
        self.cost += time.perf_counter() - begun

    def _known(self) -> Found | None:
        """What needs no search: a derivative that was seen to break, or a weight that was broken before."""
        if self._guard.hits:
            return self._guard.origin(self._lines.programs)
        return broken_weight(self._called(), self._stepped, self._steps)

    def _in_forward(self, roots: list[Tensor], notes: Notes) -> Found | None:
        found = in_forward(list(self._calls.calls), roots, self._lines.programs, notes)
        if found is None or self._calls.awake:
            return found
        # What the modules were given was not kept, so their insides are known from the graph alone.
        text = "the steps were too short for keeping what a replay needs"
        return replace(found, certain=False, note=f"{found.note}; {text}" if found.note else text)

    def _in_gradient(self, optimizer: Any, notes: Notes) -> Found | None:
        calls = list(self._calls.calls)
        found = in_forward(calls, [], (), notes)
        if found is not None:
            return found
        bad = {id(p): "" for p in parameters_of(optimizer) if p.grad is not None and flaw(p.grad)}
        return in_backward(calls, bad, self._began_at, notes)

    def _after_crash(self, broken: list[Tensor], notes: Notes) -> Found | None:
        calls = list(self._calls.calls)
        broken_off = bool(calls) and calls[-1].last is None
        rooted = [t for t in broken if t.grad_fn is not None]
        roots = sorted(rooted, key=number_of)[-1:]
        found = in_forward(calls, roots, self._lines.programs, notes, broken_off)
        if found is not None:
            return found
        return in_backward(calls, {}, self._began_at, notes)


def number_of(tensor: Tensor) -> int:
    """When the operation behind `tensor` ran, as a number that grows."""
    return tensor.grad_fn._sequence_nr() if tensor.grad_fn is not None else -1


def is_scaled(scaler: Any) -> bool:
    """Whether a loss scale over 1 is on: then a gradient that overflows is its business, and the step is
    skipped. At 1 and under the scale has done no harm.
    """
    scale = getattr(scaler, "_scale", None)
    return isinstance(scale, Tensor) and scale.item() > 1
