"""What `normalize` did: a neighbour in the nn.Sequential, a Sequential of the layer and its norm, or hooks.

Hooks where the layer itself is wanted elsewhere, and where a line makes layers that are not all treated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.normal_places import CHILD
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.anchor import on_model
from livegrad.treat.rewrite.layers import Layers
from livegrad.treat.rewrite.undecayed import edits_without_decay

_NN = "from torch import nn"
_HOOKS = {
    False: '''def normalize_output(layer, args, output):
    """A forward hook: what the layer gives, normalized."""
    return layer.norm(output)


def normalized(layer, norm):
    """Return `layer` with `norm` on its output."""
    layer.norm = norm.to({like})
    layer.register_forward_hook(normalize_output)
    return layer
''',
    True: '''def normalize_input(layer, args):
    """A forward pre-hook: what the layer is given, normalized."""
    return layer.norm(args[0]), *args[1:]


def normalized(layer, norm):
    """Return `layer` with `norm` on its input."""
    layer.norm = norm.to({like})
    layer.register_forward_pre_hook(normalize_input)
    return layer
''',
}


@dataclass(frozen=True)
class _Line:
    """Layers of one type that one line makes. alike: all of them were treated, with norms of one type."""

    source: str | None
    kind: str
    changes: tuple[Change, ...]
    alike: bool


def edits_of_normalize(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """An edit for each line whose layers were all treated alike, one helper for the other layers."""
    of_input = choice.options.get("position") == "after"
    lines = _lines(body, changes)
    inline = [line for line in lines if line.alike]
    rest = [change for line in lines if not line.alike for change in line.changes]
    plain = _recognizable(body, changes)
    like = "layer.weight.device, layer.weight.dtype"
    like = like if all(map(_is_of_torch, _layers(body, changes))) else "next(layer.parameters())"
    edits = [Edit("define", None, _HOOKS[of_input].replace("{like}", like))]
    edits += [_inline(body, line, of_input, plain) for line in inline]
    if rest:
        edits += _helper(body, rest)
    norms = [_norm(body, change) for change in changes]
    kind = f"nn.{type(norms[0]).__name__}"
    chosen = (
        f"[p for m in {{model}}.modules() if isinstance(m, {kind}) for p in m.parameters()]"
        if plain
        else "[p for name, p in {model}.named_parameters() if '.norm.' in f'.{name}']"
    )
    parameters = [p for norm in norms for p in norm.parameters()]
    return edits + edits_without_decay(body, parameters, chosen)


def _layers(body: Body, changes: Sequence[Change]) -> list[nn.Module]:
    return [body.model.get_submodule(change.where) for change in changes]


def _is_of_torch(layer: nn.Module) -> bool:
    """Whether the line that makes it says its features or channels where torch's layers do."""
    return isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd))


def _norm(body: Body, change: Change) -> nn.Module:
    return body.model.get_submodule(change.where).get_submodule(CHILD)


def _recognizable(body: Body, changes: Sequence[Change]) -> bool:
    """Whether the new norms are the only ones of their type: then they are found in any place."""
    new = {id(_norm(body, change)) for change in changes}
    kinds = {type(_norm(body, change)) for change in changes}
    return len(kinds) == 1 and all(id(m) in new for m in body.model.modules() if isinstance(m, tuple(kinds)))


def _lines(body: Body, changes: Sequence[Change]) -> list[_Line]:
    modules = dict(body.model.named_modules())
    groups: dict[tuple[str | None, str], list[Change]] = {}
    for change in changes:
        kind = type(modules[change.where]).__name__
        groups.setdefault((change.source, kind), []).append(change)
    found = []
    for (source, kind), made in groups.items():
        there = [n for n, m in modules.items() if body.sources.get(n) == source and type(m).__name__ == kind]
        new = {change.where for change in made}
        codes = {_code(_norm(body, change), "{units}") for change in made}
        alike = source is not None and set(there) == new and len(codes) == 1
        alike = alike and all(map(_is_of_torch, _layers(body, made)))
        found.append(_Line(source, kind, tuple(made), alike))
    return found


def _inline(body: Body, line: _Line, of_input: bool, plain: bool) -> Edit:
    """In order of preference; what is fit the rewriter sees in the file."""
    norm: Any = _norm(body, line.changes[0])
    linear = line.kind.endswith("Linear")
    place, name = (0, "in") if of_input else (1, "out")
    units = f"{{{place}:{name}_{'features' if linear else 'channels'}}}"
    code = _code(norm, units)
    hooked = Edit("replace-call", line.source, f"normalized({{call}}, {code})", line.kind, (_NN,))
    if not plain:
        return hooked
    both = f"{code}, {{call}}" if of_input else f"{{call}}, {code}"
    enclosed = Edit("enclose", line.source, f"nn.Sequential({both})", line.kind, (_NN,), otherwise=hooked)
    if of_input:
        return enclosed
    return Edit("next-element", line.source, code, line.kind, (_NN,), otherwise=enclosed)


def _helper(body: Body, changes: Sequence[Change]) -> list[Edit]:
    layers = Layers.of(body.model, [change.where for change in changes])
    if layers is None:
        return [Edit("instruction", c.source, f"{c.where}: {c.what}") for c in changes]
    lines = [
        "def add_norms(model):",
        f'    """Put a {type(_norm(body, changes[0])).__name__} on each of these layers."""',
        f"    {layers.code}",
    ]
    codes = [_code(_norm(body, change)) for change in changes]
    if len(set(codes)) == 1:
        lines.append(f"    for layer in {layers.chosen(0, len(codes))}:")
        lines.append(f"        normalized(layer, {codes[0]})")
    else:
        lines += [f"    normalized(layers[{i}], {c})" for i, c in zip(layers.places, codes, strict=True)]
    code = "\n".join([*lines, "    return model"]) + "\n"
    return [Edit("define", None, code, imports=(_NN,)), *on_model(body, "add_norms")]


def _code(norm: Any, units: str | None = None) -> str:
    """The call that makes a norm like this one, of `units` features or channels."""
    name = f"nn.{type(norm).__name__}"
    if isinstance(norm, nn.GroupNorm):
        return f"{name}({norm.num_groups}, {units or norm.num_channels})"
    if isinstance(norm, (nn.LayerNorm, nn.RMSNorm)):
        return f"{name}({units or norm.normalized_shape[0]})"
    return f"{name}({units or norm.num_features})"
