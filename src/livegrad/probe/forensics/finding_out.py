"""From a loss or a gradient that is not finite to the operation that made it so.

The calls of modules are replayed in their order, and then the script's own operations are followed through
the autograd graph. The first birth of a NaN that leads to the end is the answer; nothing is named that a
replay did not reproduce or the graph did not hold.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.probe.forensics import replay as replaying
from livegrad.probe.forensics.graph_values import saved_operands, saved_result
from livegrad.probe.forensics.operand import Operand, describe
from livegrad.probe.forensics.provenance import Birth, Place, Provenance
from livegrad.probe.forensics.replay import Call, Replay
from livegrad.probe.forensics.script_part import (
    FROM_MODULE,
    Line,
    Program,
    Values,
    follow_script,
    lines_of,
    operation_name,
    script_nodes,
    silent_nodes,
)
from livegrad.probe.source import shown_path

MOST_REPLAYS = 24


@dataclass(frozen=True)
class Found:
    """Where a NaN or an infinity was born; the fields are those of a run's NonfiniteOrigin.

    owner: the module whose call it was, None for the script's own part. names: of the nodes of the script's
    part where a line could not be told yet, and which of them it is.
    """

    phase: str
    operator: str | None = None
    module: str | None = None
    source: str | None = None
    made: str = "nan"
    inputs: tuple[Operand, ...] = ()
    propagators: tuple[str, ...] = ()
    certain: bool = True
    note: str | None = None
    owner: nn.Module | None = None
    nodes: tuple[str, ...] = ()
    at: int | None = None


@dataclass(eq=False)
class Notes:
    """What stood in the way, to be told where nothing was found."""

    texts: list[str]

    def add(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)


def in_forward(
    calls: Sequence[Call],
    roots: Sequence[Tensor],
    programs: Sequence[Program],
    notes: Notes,
    broken_off: bool = False,
) -> Found | None:
    """Find what made `roots` (a loss, or what else is not finite; their graph is whole) in the forward pass.

    broken_off: the last call ended in an exception.
    """
    provenance = Provenance()
    script = ScriptPart(roots, calls, programs, provenance)
    for call in list(calls)[-MOST_REPLAYS:]:
        script.follow(until=call.first)
        birth = script.birth_behind(call)
        if birth is not None:
            return script.answer(birth)
        found = _replayed(call, provenance, notes)
        if found is None:
            continue
        birth = found.birth
        if birth is not None and (not birth.meant or (broken_off and found.error is not None)):
            return _in_call(call, found, birth)
        for number, tensor in zip(call.outputs, found.outputs, strict=False):
            if number is not None:
                script.given[number, 0] = tensor.detach()
    script.follow()
    for root in sorted(roots, key=_number):
        birth = script.birth_of(root)
        if birth is not None:
            return script.answer(birth)
    if script.nodes:
        notes.add("the script's own operations did not all keep their values")
    return None


class ScriptPart:
    """The script's own operations under `roots`, followed step by step between the replays of calls."""

    def __init__(
        self,
        roots: Sequence[Tensor],
        calls: Sequence[Call],
        programs: Sequence[Program],
        provenance: Provenance,
    ) -> None:
        starts = [root.grad_fn for root in roots if root.grad_fn is not None]
        self.nodes = script_nodes(starts, lambda number: any(call.made(number) for call in calls), True)
        self.given: dict[tuple[int, int], Tensor] = {}
        self._names = tuple(node.name() for node in self.nodes)
        lines, self._sure = lines_of(self._names, programs)
        self._places = {node: _place(node, line) for node, line in zip(self.nodes, lines, strict=True)}
        self._values: Values = {}
        self._provenance = provenance

    def follow(self, until: float = math.inf) -> None:
        """Go on to the operations that ran before the autograd node numbered `until`."""
        due = [n for n in self.nodes if (n, 0) not in self._values and n._sequence_nr() < until]
        follow_script(due, self._values, self.given, self._places, self._provenance)

    def birth_of(self, tensor: Tensor) -> Birth | None:
        """The birth of what is not finite in the value of `tensor`."""
        return self._provenance.of(self._values.get((tensor.grad_fn, tensor.output_nr)))

    def birth_behind(self, call: Call) -> Birth | None:
        """The birth of what is not finite in what the script made for `call`."""
        for (node, _), value in self._values.items():
            if value is not None and node._sequence_nr() in call.numbers:
                birth = self._provenance.of(value)
                if birth is not None and not birth.meant:
                    return birth
        return None

    def answer(self, birth: Birth) -> Found:
        if birth.given is not None:
            return _given_to_script(birth)
        places = list(self._places.values())
        at = next((i for i, place in enumerate(places) if place is birth.place), None)
        silent = silent_nodes(self.nodes, self._values)
        earlier = any(at is not None and i < at for i in silent)
        return Found(
            "loss",
            birth.place.operator,
            None,
            birth.place.source,
            birth.made,
            birth.operands,
            _sources(birth),
            certain=not earlier and at is not None and (self._sure[at] or birth.place.source is None),
            note=_meaning(birth),
            nodes=self._names,
            at=at,
        )


def in_backward(calls: Sequence[Call], bad: dict[int, str], root: int | None, notes: Notes) -> Found | None:
    """Find what made a gradient in the backward pass through one of `calls`, the losses being finite.

    bad: id() of each parameter whose gradient is not finite -> name. root: number of the node that backward
    began at, if a call made it itself. The gradient that reached the module is not known any more: one of
    random numbers stands for it.
    """
    for call in list(calls)[::-1][:MOST_REPLAYS]:
        provenance = Provenance()
        found = _replayed(call, provenance, notes)
        if found is None or found.error is not None:
            continue
        births = replaying.backward(found, _cotangents(call, found, root))
        if not births:
            continue
        birth = min(births.values(), key=lambda b: (b.meant, b.number))
        module = call.module()
        own = {id(p): name for name, p in module.named_parameters()} if module is not None else {}
        really = {own[key] for key in bad if key in own}
        again = {name for name in births if name in own.values()}
        passed_on = not own and any(name.startswith("input") for name in births)
        if bad and not again & really and not passed_on:
            notes.add("a replay of the backward pass broke in other parameters than the step did")
            continue
        answer = _in_call(call, found, birth)
        same = not bad or passed_on or again == really
        return replace(answer, phase="backward", certain=answer.certain and same)
    return None


def _replayed(call: Call, provenance: Provenance, notes: Notes) -> Replay | None:
    obstacle = replaying.obstacle_to_replay(call)
    if obstacle is not None:
        notes.add(f"a call could not be replayed: {obstacle}")
        return None
    try:
        found = replaying.replay(call, provenance)
    except Exception as error:
        notes.add(f"a call could not be replayed: {type(error).__name__}: {str(error).splitlines()[:1]}")
        return None
    if call.changed():
        notes.add("an input of the module was written to after it had been used")
    return found


def _in_call(call: Call, found: Replay, birth: Birth) -> Found:
    phase = "forward"
    if birth.given is not None:
        phase = "input" if birth.given.startswith("input") else "weight"
    note = _meaning(birth)
    answer = Found(
        phase,
        None if birth.given else birth.place.operator,
        birth.place.module,
        _shown(call.line) if phase == "input" else birth.place.source or _first_source(birth.propagators),
        birth.made,
        birth.operands,
        _sources(birth),
        owner=call.module(),
        note=note,
    )
    return answer if not call.changed() else replace(answer, certain=False)


def _meaning(birth: Birth) -> str | None:
    if birth.mask is not None:
        made = birth.mask.source or birth.mask.operator
        return f"the infinity that {birth.mask.operator} writes as a mask ({made}) turned into NaN here"
    if birth.given is not None:
        return birth.given
    return f"in the derivative's {birth.place.detail}" if birth.backward and birth.place.detail else None


def _first_source(places: Sequence[Place]) -> str | None:
    return next((place.source for place in places if place.source), None)


def _sources(birth: Birth) -> tuple[str, ...]:
    own = birth.place.source
    kept = [p.source for p in birth.propagators if p.source and p.source != own]
    return tuple(dict.fromkeys(kept))


def _number(root: Tensor) -> int:
    return root.grad_fn._sequence_nr() if root.grad_fn is not None else -1


def _given_to_script(birth: Birth) -> Found:
    """The NaN came into the script's part with a tensor: a target, a weight, or what a module returned."""
    if birth.given == FROM_MODULE:
        text = "what the module returned was not finite, and replaying it did not show why"
        return Found("forward", made=birth.made, inputs=birth.operands, certain=False, note=text)
    weight = birth.given == "parameter"
    user = next(iter(birth.propagators), None)
    by = f"given to {user.operator}" if user is not None else None
    return Found(
        "weight" if weight else "input",
        None,
        None,
        _first_source(birth.propagators),
        birth.made,
        birth.operands,
        _sources(birth),
        note=birth.given if weight or by is None else f"{birth.given} {by}",
    )


def _place(node: Any, line: Line | None) -> Place:
    return Place(operation_name(node), _shown(line))


def _shown(line: Line | None) -> str | None:
    return None if line is None else f"{shown_path(line[0])}:{line[1]}"


def _cotangents(call: Call, found: Replay, root: int | None) -> list[Tensor | None]:
    """One for the output that backward began at, and nothing for the rest; else random numbers for all."""
    outputs = found.outputs
    chosen = [i for i, number in enumerate(call.outputs) if number is not None and number == root]
    if chosen and chosen[0] < len(outputs) and outputs[chosen[0]].numel() == 1:
        return [torch.ones_like(t) if i == chosen[0] else None for i, t in enumerate(outputs)]
    generator = torch.Generator().manual_seed(0)
    made: list[Tensor | None] = []
    for tensor in outputs:
        real = tensor.is_floating_point() and tensor.requires_grad
        noise = torch.randn(tensor.shape, generator=generator) if real else None
        made.append(None if noise is None else noise.to(tensor.device, tensor.dtype) / max(1, tensor.numel()))
    return made


def read_node(node: Any) -> tuple[str, tuple[Operand, ...]]:
    """The operation of an autograd node and the operands it saved."""
    operands = [describe(name, tensor) for name, tensor in saved_operands(node).items()]
    result = saved_result(node)
    if result is not None:
        operands.append(describe("result", result))
    return operation_name(node), tuple(operands)
