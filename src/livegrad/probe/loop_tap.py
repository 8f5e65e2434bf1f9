"""What the operations of a loop's steps do to the true gradient, along the path by which most of it comes
down.

From the loudest value at the cut under a step up to the cut above it, each time to the operation that brought
most. Along this path

    log10 ‖cut below‖/‖cut above‖ = Σ over its operations of log10 ‖what it hands on‖/‖what came to it‖ + rest

and the rest is what other paths add where they join, and what reaches a value from outside the loop (an
output read at every step).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livegrad.probe.graph import DataGraph
from livegrad.probe.loop_steps import LoopStep, OpenLoop
from livegrad.probe.squares import is_measurable, row_squares

Value = tuple[int, int]


@dataclass(frozen=True)
class Course:
    """One step. above, below: sums of squares at its two cuts. along: (operation, the node it handed on to,
    decades), the output side first. outside: decades that came from outside the loop along the way. The rest
    is what other paths add.
    """

    above: float
    below: float
    along: tuple[tuple[int, int, float], ...]
    outside: float

    @property
    def whole(self) -> float:
        """Decades from cut to cut."""
        return _ratio(self.below, self.above)


@dataclass
class _Step:
    """What was heard of one step. brought: value -> (who brought it, sum of squares of it alone); inside:
    value -> sum of squares of all that the loop brought it; whole: of all that came, where something outside
    the loop reads it too; entered: of what the step after brought.
    """

    plan: LoopStep
    brought: dict[Value, list[tuple[int, Any]]] = field(default_factory=dict)
    inside: dict[Value, Any] = field(default_factory=dict)
    whole: dict[Value, Any] = field(default_factory=dict)
    entered: dict[Value, Any] = field(default_factory=dict)
    tensors: dict[Value, Tensor] = field(default_factory=dict)
    broken: bool = False


class LoopTap:
    """Listens to the steps of `loops` during one backward pass; `close` removes the hooks."""

    def __init__(self, graph: DataGraph, loops: Sequence[OpenLoop]) -> None:
        self._graph = graph
        self._handles: list[Any] = []
        self.steps: list[list[_Step]] = []
        for loop in loops:
            self.steps.append([self._listen(step) for step in loop.steps])

    def _listen(self, plan: LoopStep) -> _Step:
        step = _Step(plan)
        by_consumer: dict[int, list[Value]] = {}
        for consumer, value in plan.entering:
            by_consumer.setdefault(consumer, []).append(value)
        for consumer, values in by_consumer.items():
            places = self._places(consumer, values)
            self._handles.append(self._graph.nodes[consumer].register_hook(_bringing(step, consumer, places)))
        own: dict[int, list[Value]] = {}
        for consumer, value in plan.inner:
            own.setdefault(consumer, []).append(value)
        for i in plan.nodes:
            node = self._graph.nodes[i]
            if i in plan.heard_outside:
                self._handles.append(node.register_prehook(_arriving(step, i)))
            self._handles.append(node.register_hook(_bringing(step, i, self._places(i, own.get(i, [])))))
        return step

    def _places(self, consumer: int, values: list[Value]) -> list[tuple[int, Value]]:
        """(place among what the consumer hands on, value) of every edge from it to one of `values`."""
        nodes = {self._graph.nodes[i]: i for i, _ in values}
        wanted = set(values)
        return [
            (place, (nodes[child], number))
            for place, (child, number) in enumerate(self._graph.nodes[consumer].next_functions)
            if child in nodes and (nodes[child], number) in wanted
        ]

    def close(self) -> None:
        """Remove every hook and let go of every gradient."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        for steps in self.steps:
            for step in steps:
                step.tensors.clear()

    def courses(self, loop: int) -> list[Course]:
        """Return the course of each step that was heard whole, the latest first."""
        found = [_course(step) for step in self.steps[loop]]
        return [course for course in found if course is not None]


def _add(step: _Step, by: int, value: Value, gradient: Tensor | None) -> None:
    """Add what operation `by` brought to `value`."""
    if gradient is None:
        return
    if not is_measurable(gradient):
        step.broken = True
        return
    known = step.tensors.get(value)
    own = row_squares(gradient).sum()
    step.brought.setdefault(value, []).append((by, own))
    step.tensors[value] = gradient if known is None else known + gradient
    step.inside[value] = own if known is None else row_squares(step.tensors[value]).sum()


def _guarded(step: _Step, act: Any) -> None:
    if step.broken or torch._C._len_torch_dispatch_stack():
        step.broken = True
        return
    try:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            act()
    except Exception:  # unknown is better than wrong, and the user's backward pass must go on
        step.broken = True
    if step.broken:
        step.tensors.clear()


def _bringing(step: _Step, by: int, places: list[tuple[int, Value]]) -> Any:
    enters = by not in step.plan.nodes

    def hear(handed_on: tuple[Tensor | None, ...], arrived: tuple[Tensor | None, ...]) -> None:
        def act() -> None:
            for number in range(len(arrived)):
                step.tensors.pop((by, number), None)
            for place, value in places:
                _add(step, by, value, handed_on[place])
                if enters and value in step.inside:
                    step.entered[value] = step.inside[value]

        _guarded(step, act)

    return hear


def _arriving(step: _Step, i: int) -> Any:
    def hear(gradients: tuple[Tensor | None, ...]) -> None:
        def act() -> None:
            for number, gradient in enumerate(gradients):
                if gradient is not None and is_measurable(gradient):
                    step.whole[i, number] = row_squares(gradient).sum()

        _guarded(step, act)

    return hear


def _course(step: _Step) -> Course | None:
    own = set(step.plan.nodes)
    below = {value: float(s) for value, s in step.inside.items() if value[0] not in own}
    if step.broken or not below:
        return None
    value = max(below, key=lambda v: below[v])
    came = step.inside | step.whole
    along: list[tuple[int, int, float]] = []
    outside = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        while True:
            by, brought = max(step.brought.get(value, [(-1, 0.0)]), key=lambda item: float(item[1]))
            if by not in own:
                break
            above = max((v for v in came if v[0] == by), key=lambda v: float(came[v]), default=None)
            if above is None:
                return None
            along.append((by, value[0], _ratio(brought, came[above])))
            if above in step.inside:
                outside += _ratio(came[above], step.inside[above])
            value = above
    over, under = float(sum(step.entered.values())), sum(below.values())
    if by < 0 or not 0 < over < np.inf or not 0 < under < np.inf:
        return None
    if not np.isfinite([outside, *(decades for _, _, decades in along)]).all():
        return None
    return Course(over, under, tuple(reversed(along)), outside)


def _ratio(over: Any, under: Any) -> float:
    return float(0.5 * np.log10(np.float64(float(over)) / np.float64(float(under))))
