"""activation: put an activation that keeps the gradient in the place of one that does not.

Modules are replaced in their parents; functional calls and tensor methods by an attribute `forward` of the
module that calls them (livegrad.treat.swapped_calls). Gates, the model's own output link, activations fed by
frozen weights and those in a loop over time stay as they are. The weights are drawn anew to match, unless
init=false.
"""

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import ClassVar

from torch import nn

from livegrad.theory.activation import CATALOGUE, Activation, gain, named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.length_map import gain_holds_length
from livegrad.theory.propagation import backward_gain
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.remedies.init import Init
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_activation import edits_of_activation
from livegrad.treat.sites import Site
from livegrad.treat.swapped_calls import Line, Swap, SwappedCalls
from livegrad.treat.tailored import RECTIFIERS, SMOOTH, Tailored, tailor
from livegrad.treat.weights import median_gain, weights_of

_TAILORED = "tailored"
_MODULES: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh, "relu": nn.ReLU, "leaky-relu": nn.LeakyReLU, "elu": nn.ELU, "celu": nn.CELU,
    "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "hardswish": nn.Hardswish,
    "softsign": nn.Softsign, "hardtanh": nn.Hardtanh,
}  # fmt: skip
# By how little they change: a sigmoid's own shape centred first, then the plainest; dead units need a slope.
_ORDER = ("tanh", "relu", "leaky-relu", "elu", "gelu", "silu", "selu", _TAILORED)
_AGAINST_DEATH = ("leaky-relu", "elu", "gelu", "silu", "selu", _TAILORED)
_AGAINST_SATURATION = ("relu", "leaky-relu", "elu", "gelu", "silu", "selu", _TAILORED)
# The deepest layer may be this far from the output's audibility, either way, and still be heard.
_NEAR, _FLOOR = 1.5, 3.0
_AS_GOOD = 0.5
# What is worth replacing although it does not saturate: it passes back less than this per layer at its best.
_LOSSY = 0.9


@dataclass(frozen=True)
class _Plan:
    """swapped: sites to change. kind: the activation that most of them are. kept: why others stay."""

    swapped: tuple[Site, ...]
    kind: str | None
    kept: tuple[str, ...]


class ActivationSwap(Remedy):
    """Replace an activation."""

    name = "activation"
    title = "replace the activation by one that keeps the gradient"
    treats = ("LG101", "LG201", "LG202")
    not_when = (
        "the activation is a gate or makes the model's output; the model is already trained; or the weights "
        "and not the activation are to blame"
    )
    variants = (*_MODULES, _TAILORED)
    options: ClassVar = {
        "init": "draw the weights anew to match (default true), or a variant of init to draw them by",
        "only": "replace activations of this type alone, for example Sigmoid",
        "seed": "of the draw of the weights",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: the one that changes least of those that bring the deepest layer, by closed
        form, within 1.5 decades of the output.
        """
        if choice.variant != AUTO:
            if choice.variant not in self.variants:
                raise Refused(
                    f"activation knows no variant {choice.variant!r}. There are: {', '.join(self.variants)}"
                )
            return choice
        plan = _plan(body, choice)
        if plan.kind is None:
            return Choice(self.name, "relu", choice.options)
        depth = _depth(body, plan)
        found = {v: _decades(v, plan.kind, depth) for v in _order(body, plan.kind)}
        near = (v for v, decades in found.items() if abs(decades) < _NEAR)
        best = next(near, min(found, key=lambda v: abs(found[v])))
        return Choice(self.name, best, choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        plan = _plan(body, choice)
        if not plan.swapped or plan.kind is None:
            why = f" ({'; '.join(plan.kept)})" if plan.kept else ""
            return Assessment(False, f"there is no hidden activation to replace{why}")
        if any(part.kind in ("branch", "path") for part in body.anatomy.parts):
            return Assessment(None, "the model has branches; theory speaks of plain stacks")
        depth = _depth(body, plan)
        sigma = median_gain(body.model, body.anatomy.parts)
        now = backward_gain(plan.kind, sigma, depth=depth)
        before = {"backward_gain_per_layer": now.per_layer, "audibility_decades": now.audibility_decades}
        new = _theory(choice.variant, plan.kind, depth)
        weights, bias = _drawn(body, new, choice, depth)
        found = backward_gain(new, weights, depth=depth, bias_variance=bias)
        predicted = {
            "backward_gain_per_layer": found.per_layer,
            "audibility_decades": found.audibility_decades,
        }
        said = (
            f"{choice.variant} passes back {found.per_layer:.3g} per layer, {plan.kind} {now.per_layer:.3g}"
        )
        if not abs(found.audibility_decades) <= _FLOOR:
            return Assessment(
                False,
                f"{said}: {found.audibility_decades:.1f} decades over {depth} layers are still too many",
                predicted,
                before,
            )
        return Assessment(True, said, predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        plan = _plan(body, choice)
        if not plan.swapped or plan.kind is None:
            raise Refused(
                f"there is no hidden activation to replace: {'; '.join(plan.kept) or 'none was seen'}"
            )
        depth = _depth(body, plan)
        new = _module(choice.variant, plan.kind, depth)
        _, bias = _drawn(body, _theory(choice.variant, plan.kind, depth), choice, depth)
        changes = [*_swap_modules(body, plan, new), *_swap_calls(body, plan, new)]
        try:
            body.changed()
            if choice.options.get("init", True) is not False:
                changes += _match(body, choice, "critical" if bias else "own-gain")
        except BaseException:
            for change in reversed(changes):
                change.undo()
            body.changed()
            raise
        return changes

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of_activation(body, choice, changes)


def _order(body: Body, kind: str) -> tuple[str, ...]:
    code = (body.finding or {}).get("code")
    order = _ORDER if _takes_too_much(kind) else _AGAINST_DEATH
    order = _AGAINST_SATURATION if code == "LG201" else order
    same = {name for name, module in _MODULES.items() if module.__name__ == kind}
    return tuple(name for name in order if name not in same)


def _plan(body: Body, choice: Choice) -> _Plan:
    hidden: list[Site] = []
    kept: Counter[str] = Counter()
    for site in _sites(body):
        why = _why_kept(site)
        if why is None:
            hidden.append(site)
        else:
            kept[f"{site.kind} {why}"] += 1
    kinds = _kinds(body, choice, hidden)
    swapped = tuple(site for site in hidden if site.kind in kinds)
    counts = Counter(site.kind for site in swapped)
    said = tuple(f"{number} {what}" for what, number in kept.items())
    return _Plan(swapped, counts.most_common(1)[0][0] if counts else None, said)


def _why_kept(site: Site) -> str | None:
    if site.gate:
        return "as gates"
    if not site.hidden:
        return "at the model's output"
    if site.reused:
        return "in a loop, fed by the same weights again and again"
    if site.kind == "PReLU":
        return "with slopes that are learnt"
    if site.frozen:
        return "fed by frozen weights"
    return None


def _kinds(body: Body, choice: Choice, hidden: Sequence[Site]) -> set[str]:
    there = {site.kind for site in hidden}
    only = choice.options.get("only")
    if only is not None:
        return {kind for kind in there if kind.lower() == str(only).lower()}
    cause = (body.finding or {}).get("cause") or {}
    if cause.get("operator") in there:
        return {cause["operator"]}
    same = next((m.__name__ for v, m in _MODULES.items() if v == choice.variant), None)
    there -= {same} if same else set()
    return {kind for kind in there if _takes_too_much(kind)} or there


def _takes_too_much(kind: str) -> bool:
    """It is flat at both ends, or passes back too little even with the best weights."""
    return (kind != "ReLU6" and CATALOGUE[kind].saturates) or backward_gain(kind).per_layer < _LOSSY


def _sites(body: Body) -> tuple[Site, ...]:
    if body.args is not None:
        return body.sites
    modules = list(body.model.named_modules())
    if not all(isinstance(m, nn.Sequential) or not list(m.children()) for _, m in modules):
        raise Refused(
            "give a batch, treat(model, ..., inputs=batch): without one gates cannot be told from others"
        )
    weighted = [
        i for i, (_, m) in enumerate(modules) if any(p.dim() > 1 for p in m.parameters(recurse=False))
    ]
    last = max(weighted, default=-1)
    return tuple(
        Site(type(m).__name__, type(m).__name__.lower(), name, "", None, 0, None, hidden=i < last)
        for i, (name, m) in enumerate(modules)
        if type(m).__name__ in CATALOGUE
    )


def _depth(body: Body, plan: _Plan) -> int:
    spine = sum(part.kind == "depth" for part in body.anatomy.parts)
    return max(1, min(spine, len(plan.swapped) + 1) if spine else len(plan.swapped))


def _base(kind: str) -> str:
    return kind if kind in SMOOTH or kind in RECTIFIERS else "Tanh"


def _theory(variant: str, kind: str, depth: int) -> str | Activation:
    if variant == _TAILORED:
        return tailor(_base(kind), depth).activation
    return _MODULES[variant].__name__


def _module(variant: str, kind: str, depth: int) -> nn.Module:
    return Tailored(tailor(_base(kind), depth)) if variant == _TAILORED else _MODULES[variant]()


def _decades(variant: str, kind: str, depth: int) -> float:
    new = _theory(variant, kind, depth)
    weights, bias = _matching(new, depth)
    return backward_gain(new, weights, depth=depth, bias_variance=bias).audibility_decades


def _drawn(body: Body, new: str | Activation, choice: Choice, depth: int) -> tuple[float, float]:
    """σ_w and σ_b² of the weights that the new activation will meet."""
    asked = choice.options.get("init", True)
    parts = body.anatomy.parts
    drawn, every = (len(list(weights_of(body.model, parts, computed))) for computed in (False, True))
    if asked is False or 2 * drawn <= every:
        return median_gain(body.model, parts), 0.0
    return _matching(new, depth)


def _matching(new: str | Activation, depth: int) -> tuple[float, float]:
    """The activation's own gain, or its critical point where lengths do not hold at that or it is nearer."""
    own = gain(new)
    point = critical_point(new)
    if point is None or named(new).name == _TAILORED:
        return own, 0.0
    critical = (point.weight_variance**0.5, point.bias_variance)
    nearer = abs(log10(backward_gain(new, own).per_layer)) * depth > _AS_GOOD
    return critical if nearer or not gain_holds_length(new) else (own, 0.0)


def _match(body: Body, choice: Choice, suits: str) -> Sequence[Change]:
    asked = choice.options.get("init", True)
    seed = {"seed": choice.options["seed"]} if "seed" in choice.options else {}
    branches = any(part.kind in ("branch", "path") for part in body.anatomy.parts)
    variant = asked if isinstance(asked, str) else "residual" if branches else suits
    cure = Init()
    return cure.apply(body, cure.resolve(body, Choice("init", variant, seed)))


def _swap_modules(body: Body, plan: _Plan, new: nn.Module) -> list[Change]:
    return [_replaced(body, name, new) for name in _whole_modules(plan, body)]


def _whole_modules(plan: _Plan, body: Body) -> list[str]:
    """The activation modules of which every call is to change."""
    chosen = Counter(site.module for site in plan.swapped if site.module is not None)
    every = Counter(site.module for site in _sites(body) if site.module is not None)
    return [name for name, number in chosen.items() if name and number == every[name]]


def _replaced(body: Body, name: str, new: nn.Module) -> Change:
    old = body.model.get_submodule(name)
    fresh = copy.deepcopy(new).train(old.training)
    homes = [(m, key) for m in body.model.modules() for key, child in m._modules.items() if child is old]
    for parent, key in homes:
        parent._modules[key] = fresh

    def undo() -> None:
        for parent, key in homes:
            parent._modules[key] = old

    return Change(name, f"{type(old).__name__} → {fresh}", undo, body.sources.get(name))


def _swap_calls(body: Body, plan: _Plan, new: nn.Module) -> list[Change]:
    whole = set(_whole_modules(plan, body))
    calls = [site for site in plan.swapped if site.module is None or site.module not in whole]
    if any(site.line is None for site in calls):
        raise Refused("an activation is called from no line of the program's own, so its call cannot be told")
    chosen: dict[str, dict[tuple[Line, str], list[Site]]] = {}
    for site in calls:
        assert site.line is not None
        chosen.setdefault(site.owner, {}).setdefault((site.line, site.call), []).append(site)
    return [change for owner, lines in chosen.items() for change in _rewired(body, owner, lines, new)]


def _rewired(
    body: Body, owner: str, lines: dict[tuple[Line, str], list[Site]], new: nn.Module
) -> list[Change]:
    """One attribute holds all swaps of a module; each line is a change, and the first takes it off again."""
    every = Counter((s.owner, s.line, s.call) for s in _sites(body))
    swaps = {}
    for (line, call), sites in lines.items():
        all_of_them = every[(owner, line, call)] == len(sites)
        swaps[(line, call)] = Swap(new, None if all_of_them else frozenset(s.occurrence for s in sites))
    module = body.model.get_submodule(owner)
    rewired = SwappedCalls(module, swaps)
    rewired.attach()
    changes = []
    for (_, call), sites in lines.items():
        number = every[(owner, sites[0].line, call)]
        times = "" if number == len(sites) == 1 else f", {len(sites)} of {number} times"
        what = f"{call} → {new} (call{times})"
        changes.append(Change(owner, what, _nothing if changes else rewired.detach, sites[0].source))
    return changes


def _nothing() -> None:
    """What there is to undo when another change undoes it."""
