"""Tensors that were drawn anew, as one helper function that draws them again, bit for bit.

The changes say the statements for each tensor (livegrad.treat.draw). Layers that follow each other and differ
by no more than one number share a loop.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.draw import Drawn, generator_code
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.anchor import on_model
from livegrad.treat.rewrite.compact import as_list, wrapped
from livegrad.treat.rewrite.layers import Layers

_NUMBER = re.compile(r"(?P<before>(?P<name>std|gain)=|mul_\()(?P<number>[0-9][0-9.e+-]*)")
# Not those of recurrent layers, bias_hh_l0.
_BIAS = re.compile(r"layer\.bias\b")
_WIDEST = 84
_IMPORTS = ("import torch", "from torch import nn")


@dataclass(frozen=True)
class _Visit:
    """The statements for one layer, with `layer` for it and {number} for the first number in them."""

    name: str
    lines: tuple[str, ...]
    variable: str | None
    number: str | None


@dataclass(frozen=True)
class _Loop:
    """Visits `first` to `last` (not included), which have the same lines."""

    first: int
    last: int
    visits: Sequence[_Visit]


def edits_of_draws(
    body: Body, choice: Choice, changes: Sequence[Change], helper: str, says: str
) -> list[Edit]:
    """Edits for those of `changes` that are draws: a function `helper`, what it `says`, and its call."""
    drawn = [change for change in changes if isinstance(change, Drawn)]
    if not drawn:
        return []
    passes = list(_passes(_visits(body.model, drawn)))
    code = _function(body.model, choice, passes, helper, says)
    if code is None:
        where = f"{len(drawn)} tensors, for example {drawn[0].where}: {drawn[0].what}"
        return [Edit("instruction", None, f"before training, draw anew ({where})")]
    return [Edit("define", None, code, imports=_IMPORTS), *on_model(body, helper)]


def _function(
    model: nn.Module, choice: Choice, passes: Sequence[Sequence[_Visit]], helper: str, says: str
) -> str | None:
    names = list(dict.fromkeys(visit.name for visits in passes for visit in visits))
    layers = Layers.of(model, names)
    if layers is None:
        return None
    lines = [f"def {helper}(model):", f'    """{says}"""']
    if any("generator=generator" in line for visits in passes for v in visits for line in v.lines):
        lines.append(f"    {generator_code(choice)}")
    lines.append(f"    {layers.code}")
    place = dict(zip(names, layers.places, strict=True))
    for visits in passes:
        here = Layers(layers.code, tuple(place[visit.name] for visit in visits), layers.total)
        lines += [f"    {line}" for loop in _loops(visits) for line in _loop(here, loop)]
    return "\n".join([*lines, "    return model"]) + "\n"


def _loop(layers: Layers, loop: _Loop) -> Iterator[str]:
    visit, numbers = loop.visits[0], [v.number for v in loop.visits]
    chosen = layers.chosen(loop.first, loop.last)
    if visit.variable is not None and len(set(numbers)) > 1:
        values, number = as_list([str(n) for n in numbers]), visit.variable
        line = f"for layer, {number} in zip({chosen}, {values}):"
        if len(line) > _WIDEST:
            yield from wrapped(f"{number}s = [", values[1:-1], "]")
            line = f"for layer, {number} in zip({chosen}, {number}s):"
        yield line
    else:
        number = str(visit.number)
        yield f"for layer in {chosen}:"
    for line in visit.lines:
        yield from (f"    {part}" for part in line.replace("{number}", number).split("\n"))


def _loops(visits: Sequence[_Visit]) -> Iterator[_Loop]:
    """Maximal runs of visits with the same lines; a layer without bias fits those with one."""
    kinds: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for visit in visits:
        kinds.setdefault(_without_bias(visit.lines), set()).add(visit.lines)
    shared = [_lines_among(visit, kinds[_without_bias(visit.lines)]) for visit in visits]
    first = 0
    for last in range(1, len(visits) + 1):
        if last == len(visits) or shared[last] != shared[first]:
            run = [_Visit(v.name, shared[first], v.variable, v.number) for v in visits[first:last]]
            yield _Loop(first, last, run)
            first = last


def _lines_among(visit: _Visit, kinds: Set[tuple[str, ...]]) -> tuple[str, ...]:
    """The lines of a visit, written for layers with and without a bias where `kinds`, its like, need that."""
    plain = _without_bias(visit.lines)
    full = max(kinds, key=len)
    if len(kinds) != 2 or plain not in kinds or full[: len(plain)] != plain:
        return visit.lines
    guarded = [f"    {line}".replace("\n", "\n    ") for line in full[len(plain) :]]
    return (*plain, "if layer.bias is not None:", *guarded)


def _without_bias(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line for line in lines if _BIAS.search(line) is None)


def _passes(visits: Sequence[_Visit]) -> Iterator[list[_Visit]]:
    """Split where a layer is visited for a second time: it was drawn, and is scaled."""
    one: dict[str, _Visit] = {}
    for visit in visits:
        if visit.name in one:
            yield list(one.values())
            one = {}
        one[visit.name] = visit
    if one:
        yield list(one.values())


def _visits(model: nn.Module, drawn: Sequence[Drawn]) -> list[_Visit]:
    """Changes of tensors of one layer that follow each other, each tensor once."""
    groups: list[tuple[str, list[tuple[str, Drawn]]]] = []
    for change in drawn:
        name, attribute = _owner(model, change.where)
        new = not groups or groups[-1][0] != name or attribute in [a for a, _ in groups[-1][1]]
        if new:
            groups.append((name, []))
        groups[-1][1].append((attribute, change))
    return [_visit(model, name, parts) for name, parts in groups]


def _visit(model: nn.Module, name: str, parts: Sequence[tuple[str, Drawn]]) -> _Visit:
    layer = model.get_submodule(name)
    lines: list[str] = []
    for _, alike in groupby(parts, key=lambda part: part[1].code):
        group = list(alike)
        tensors = [_tensor(layer, attribute) for attribute, _ in group]
        if len(group) > 1 and all(t is not None and _is_exact(t) for t in tensors):
            lines += _loop_over([attribute for attribute, _ in group], group[0][1].code)
        else:
            for (attribute, change), tensor in zip(group, tensors, strict=True):
                lines += _statements(tensor, attribute, change)
    text = "\0".join(lines)
    found = _NUMBER.search(text)
    if found is None:
        return _Visit(name, tuple(lines), None, None)
    text = text[: found.start("number")] + "{number}" + text[found.end("number") :]
    return _Visit(name, tuple(text.split("\0")), found["name"] or "factor", found["number"])


def _loop_over(attributes: Sequence[str], code: Sequence[str]) -> list[str]:
    """The same statements for several tensors of a layer, as recurrent layers have them."""
    named = ", ".join(f"layer.{attribute}" for attribute in attributes)
    begin = f"for tensor in ({named}):"
    if len(begin) > _WIDEST:
        begin = "\n".join([*wrapped("tensors = [", named, "]"), "for tensor in tensors:"])
    lines = [line.replace("{tensor}", "tensor").replace("{layer}", "layer") for line in code]
    return ["\n".join([begin, *(f"    {line}".replace("\n", "\n    ") for line in lines)])]


def _is_exact(tensor: torch.Tensor) -> bool:
    """Whether it can be drawn in place: draws come from the CPU in single precision."""
    return tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)


def _statements(tensor: torch.Tensor | None, attribute: str, change: Drawn) -> list[str]:
    """Draws come from the CPU in single precision, whatever the tensor's own device and dtype are. What is
    done to a layer and to no tensor of it needs neither.
    """
    if tensor is None:
        return [line.replace("{layer}", "layer") for line in change.code]
    own = f"layer.{attribute}"
    if _is_exact(tensor):
        return [line.replace("{tensor}", own).replace("{layer}", "layer") for line in change.code]
    return [
        f"new = {own}.detach().cpu().float()",
        *(line.replace("{tensor}", "new").replace("{layer}", "layer") for line in change.code),
        f"{own}.data.copy_(new)",
    ]


def _tensor(layer: nn.Module, attribute: str) -> torch.Tensor | None:
    """The tensor that a layer has by this name, or at this place of a list."""
    several, _, place = attribute.partition("[")
    found = getattr(layer, several, None)
    return found[int(place.rstrip("]"))] if place and found is not None else found


def _owner(model: nn.Module, where: str) -> tuple[str, str]:
    """(name of the module, name of the tensor in it); attention's projection is a module of its own, and of a
    list of parameters each is known by what its module calls that, and its place: kernels[0].
    """
    name, _, attribute = where.rpartition(".")
    if isinstance(model.get_submodule(name), nn.ParameterList):
        name, _, several = name.rpartition(".")
        return name, f"{several}[{attribute}]"
    if isinstance(model.get_submodule(name), nn.MultiheadAttention) and attribute in ("weight", "bias"):
        return (f"{name}.out_proj" if name else "out_proj"), attribute
    return name, attribute
