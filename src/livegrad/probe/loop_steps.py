"""The steps of an unrolled loop, so cut that each hands on to the next all that the later ones hear of it.

Between two uses of the recurrent weights lies one step. The cut under a step is every value made before it
that it, or a later one, reads. Where only the step itself reads them (a state; not a memory of all past
states), the gradient at the cut is all that comes down, and a step's operations take it from one cut to the
next one by one.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from livegrad.probe.graph import DataGraph
from livegrad.probe.operation import operator_name
from livegrad.probe.spine import Loop

_PRODUCTS = frozenset({"Addmm", "Mm", "Addmv", "Mv", "Bmm", "Baddbmm", "Linear"})
# Between a product and its parameter may lie a transpose, a cast, a view.
_MOST_VIEWS = 4
# So many operations of a loop are looked at, in whole steps, evenly spread and both ends among them.
_MOST_OPERATIONS = 256


@dataclass(frozen=True)
class LoopStep:
    """One step of a loop. nodes: what it runs, output side first. entering: (consumer, value) edges by which
    the step after it reads it; inner: those by which its own nodes read it and the step before.
    heard_outside: those of its nodes that something outside the loop reads too.
    """

    nodes: tuple[int, ...]
    entering: tuple[tuple[int, tuple[int, int]], ...]
    inner: tuple[tuple[int, tuple[int, int]], ...]
    heard_outside: frozenset[int]


@dataclass(frozen=True)
class OpenLoop:
    """A loop that can be taken apart. steps: those to look at, the latest first; count: how many there are
    from the first cut to the last.
    """

    loop: Loop
    steps: tuple[LoopStep, ...]
    count: int


def open_loops(graph: DataGraph, loops: Sequence[Loop]) -> list[OpenLoop]:
    """Return the loops whose steps can be taken apart, each state counted once."""
    found: list[OpenLoop] = []
    taken: set[int] = set()
    # A loop is known by its matrix rather than by the bias beside it.
    products = {loop: all(matrix_of(graph.nodes[i]) is not None for i in loop.nodes) for loop in loops}
    for loop in sorted(loops, key=lambda loop: (not products[loop], -len(loop.between))):
        if len(loop.between) == len(loop.nodes) or not taken.isdisjoint(loop.between):
            continue
        taken |= loop.between
        opened = _open(graph, loop)
        if opened is not None:
            found.append(opened)
    return found


def _open(graph: DataGraph, loop: Loop) -> OpenLoop | None:
    starts = [graph.nodes[i]._sequence_nr() for i in loop.nodes]
    step = {i: bisect_right(starts, graph.nodes[i]._sequence_nr()) - 1 for i in loop.between}
    groups: dict[int, list[int]] = {}
    for i in sorted(loop.between):
        groups.setdefault(step[i], []).append(i)
        if any(step[c] not in (step[i], step[i] + 1) for c in graph.consumers[i] if c in step):
            return None
    # The last use has nothing above it in the loop, the first nothing below.
    whole = [k for k in range(len(starts) - 2, 0, -1) if groups.get(k)]
    if not whole:
        return None
    each = max(len(groups[k]) for k in whole)
    most = max(2, _MOST_OPERATIONS // each)
    if each > _MOST_OPERATIONS:
        return None
    chosen = (
        whole
        if len(whole) <= most
        else [whole[round(k * (len(whole) - 1) / (most - 1))] for k in range(most)]
    )
    steps = tuple(_step(graph, groups, step, k) for k in chosen)
    return OpenLoop(loop, steps, len(whole))


def _step(graph: DataGraph, groups: dict[int, list[int]], step: dict[int, int], k: int) -> LoopStep:
    nodes = set(groups[k])
    entering = [
        (c, (i, number))
        for c in sorted({c for i in nodes for c in graph.consumers[i] if step.get(c) == k + 1})
        for i, number in graph.reads[c]
        if i in nodes
    ]
    inner = [(c, (i, number)) for c in groups[k] for i, number in graph.reads[c] if i in step]
    outside = frozenset(i for i in nodes if not all(c in step for c in graph.consumers[i]))
    return LoopStep(tuple(groups[k]), tuple(entering), tuple(inner), outside)


def matrix_of(node: Any) -> Tensor | None:
    """Return the parameter of two dimensions that the autograd node multiplies by, None if it does not."""
    if operator_name(node) not in _PRODUCTS:
        return None
    for child, _ in node.next_functions:
        for _ in range(_MOST_VIEWS):
            if child is None or hasattr(child, "variable"):
                break
            child = child.next_functions[0][0] if len(child.next_functions) == 1 else None
        leaf = getattr(child, "variable", None)
        if leaf is not None and leaf.ndim == 2:
            return leaf
    return None
