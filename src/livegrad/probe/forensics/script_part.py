"""The part of a step that the script computes itself, between the modules it calls and `backward`: its
operations in order, and which of them made a NaN.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from torch import Tensor

from livegrad.probe.forensics.graph_values import (
    computed,
    differentiated,
    saved,
    saved_operands,
    saved_result,
    schemas,
)
from livegrad.probe.forensics.operand import flaw
from livegrad.probe.forensics.provenance import Place, Provenance, Value
from livegrad.probe.forensics.value_mode import plain_name
from livegrad.probe.operation import operator_name

MOST_NODES = 2000
MOST_WALKED = 50_000
FROM_MODULE = "what the module returned"
# Operations that may leave out what is not finite in an operand.
_SELECTING = frozenset({
    "Where", "MaskedFill", "MaskedSelect", "Index", "IndexSelect", "Gather", "Select", "Slice", "Split",
    "SplitWithSizes", "Unbind", "Max", "Min", "Maximum", "Minimum", "Clamp", "ClampMin", "ClampMax", "Sort",
    "Topk", "NanToNum", "Relu", "Threshold", "Softmax", "Sigmoid", "Tanh", "Exp",
})  # fmt: skip
Line = tuple[str, int]
Edge = tuple[int, int]
"""An autograd node by its number, and which of its outputs."""


def script_nodes(roots: Sequence[Any], inside: Callable[[int], bool], beyond: bool = False) -> list[Any]:
    """The autograd nodes under `roots` that were made outside the calls of modules, in order of execution.

    inside(number) says whether a node was made in such a call. beyond: also those on the other side of a
    call, which made what the module was given.
    """
    found, seen = [], set(roots)
    waiting = list(seen)
    for node in waiting:
        if type(node).__name__ == "AccumulateGrad":
            continue
        if not inside(node._sequence_nr()):
            found.append(node)
        elif not beyond:
            continue
        if len(found) >= MOST_NODES or len(waiting) >= MOST_WALKED:
            break
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                waiting.append(child)
    return sorted(found, key=lambda node: node._sequence_nr())


Values = dict[tuple[Any, int], Tensor | None]


@dataclass(frozen=True)
class Program:
    """The operations of one script part by the names of their autograd nodes, and the line of each."""

    names: tuple[str, ...]
    lines: tuple[Line | None, ...]


def read_program(nodes: Sequence[Any], spans: Sequence[tuple[int, int, Line | None]]) -> Program:
    """spans: for each call that was seen, ascending, the first number a node of it could have, the first
    after it, and its line.
    """
    starts = [start for start, _, _ in spans]
    lines: list[Line | None] = []
    for node in nodes:
        number = node._sequence_nr()
        at = bisect_right(starts, number) - 1
        known = at >= 0 and number < spans[at][1]
        lines.append(spans[at][2] if known else None)
    return Program(tuple(node.name() for node in nodes), tuple(lines))


def lines_of(names: tuple[str, ...], programs: Sequence[Program]) -> tuple[list[Line | None], list[bool]]:
    """The line of each node, by the program recorded at another step that is most like it; and of each
    whether that is beyond doubt: the two are the same, or no operation of its kind was added or left out.
    """
    for program in programs:
        if program.names[-len(names) :] == names:  # what ran before the last call may have been left out
            return list(program.lines[-len(names) :]), [True] * len(names)
    sure = [False] * len(names)
    lines: list[Line | None] = [None] * len(names)
    matched = 0
    for program in programs:
        match = SequenceMatcher(None, program.names, names, autojunk=False)
        blocks = match.get_matching_blocks()
        if sum(block.size for block in blocks) > matched:
            matched = sum(block.size for block in blocks)
            lines = [None] * len(names)
            sure = [names.count(name) == program.names.count(name) for name in names]
            for block in blocks:
                lines[block.b : block.b + block.size] = program.lines[block.a : block.a + block.size]
    return lines, sure


def follow_script(
    nodes: Sequence[Any],
    values: Values,
    given: Mapping[Edge, Tensor],
    place: Mapping[Any, Place],
    provenance: Provenance,
) -> None:
    """Show the operations `nodes` to `provenance`, with the values the graph saved or that follow from them.

    values: (node, number of its output) -> value so far, to which those of `nodes` are added; None where one
    could not be learnt. given: values of nodes outside the part, as far as known. place: where each node is.
    """
    uses = _uses(nodes)
    for node in nodes:
        children = [_child(edge, values, given, uses, provenance) for edge in node.next_functions]
        operands = _operands(node, children)
        results = _results(node, uses, children)
        for number, value in enumerate(results):
            values[node, number] = value
        known = [value for value in results if value is not None]
        provenance.judge(lambda node=node: place[node], operands, known)
        for number, value in enumerate(results):
            if value is None:
                values[node, number] = _carried(node, children)
            for exact in uses.get((node, number), {}).values():
                if exact is not None and exact is not value and flaw(exact):
                    provenance.judge(lambda node=node: place[node], operands, [exact])


def _carried(node: Any, children: list[Tensor | None]) -> Tensor | None:
    """What is not finite in an operand of an operation whose result is not known stands for that result,
    where the operation cannot have left it out.
    """
    if operator_name(node) in _SELECTING:
        return None
    return next((child for child in children if child is not None and flaw(child)), None)


def silent_nodes(nodes: Sequence[Any], values: Values) -> list[int]:
    """Places of the operations whose result could not be learnt: one of them may have made the NaN."""
    return [i for i, node in enumerate(nodes) if values.get((node, 0)) is None]


def _uses(nodes: Sequence[Any]) -> dict[tuple[Any, int], dict[tuple[Any, int], Tensor | None]]:
    """(node, output) -> for each operation that reads it what that operation saved of it."""
    found: dict[tuple[Any, int], dict[tuple[Any, int], Tensor | None]] = {}
    for node in nodes:
        overloads = schemas(node)
        names = differentiated(overloads[0]._schema, node) if overloads else []
        for slot, (child, number) in enumerate(node.next_functions):
            if child is not None:
                value = saved(node, names[slot]) if slot < len(names) else None
                exact = value.detach() if isinstance(value, Tensor) else None
                found.setdefault((child, number), {})[node, slot] = exact
    return found


def _child(
    edge: tuple[Any, int], values: Values, given: Mapping[Edge, Tensor], uses: Any, provenance: Provenance
) -> Tensor | None:
    child, number = edge
    if child is None:
        return None
    if edge in values:
        return values[edge]
    if type(child).__name__ == "AccumulateGrad":
        provenance.give(child.variable, "parameter")
        return child.variable.detach()
    exact = next((v for v in uses.get(edge, {}).values() if v is not None), None)
    again = given.get((child._sequence_nr(), number), exact)
    if exact is not None and flaw(exact) and not flaw(again):
        again = exact
    if again is not None:
        provenance.give(again, FROM_MODULE)
    return again


def _operands(node: Any, children: list[Tensor | None]) -> list[Value]:
    overloads = schemas(node)
    names = differentiated(overloads[0]._schema, node) if overloads else []
    found: dict[str, Tensor] = {}
    for slot, child in enumerate(children):
        if child is not None:
            found[names[slot] if slot < len(names) else f"operand {slot}"] = child
    for name, tensor in saved_operands(node).items():
        found.setdefault(name, tensor)
    return [(name, tensor, flaw(tensor)) for name, tensor in found.items()]


def _results(node: Any, uses: Any, children: list[Tensor | None]) -> list[Tensor | None]:
    """The outputs of `node`: what it saved, what the operations that read them saved, or computed again."""
    count = max(1, len(getattr(node, "_input_metadata", ())))
    results: list[Tensor | None] = [None] * count
    results[0] = saved_result(node)
    for number in range(count):
        exact = next((v for v in uses.get((node, number), {}).values() if v is not None), None)
        results[number] = results[number] if results[number] is not None else exact
    if any(value is None for value in results):
        again = computed(node, children)
        for number, value in enumerate(again[:count]):
            results[number] = results[number] if results[number] is not None else value
    return results


def operation_name(node: Any) -> str:
    """The operation that `node` is the derivative of, as a user calls it."""
    overloads = schemas(node)
    if overloads:
        return plain_name(overloads[0]._schema.name.rpartition("::")[2])
    return operator_name(node)
