"""Which activations of a model are to be replaced, and why others stay."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from livegrad.theory.activation import CATALOGUE
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Refused
from livegrad.treat.sites import Site
from livegrad.treat.swaps.choosing import MODULES, takes_too_much


@dataclass(frozen=True)
class Plan:
    """swapped: sites to change. kind: the activation that most of them are. kept: why others stay."""

    swapped: tuple[Site, ...]
    kind: str | None
    kept: tuple[str, ...]


def plan_of(body: Body, choice: Choice) -> Plan:
    """Return what is to be replaced for `choice`, by where each activation stands and what it is."""
    hidden: list[Site] = []
    kept: Counter[str] = Counter()
    for site in sites_of(body):
        why = _why_kept(site)
        if why is None:
            hidden.append(site)
        else:
            kept[f"{site.kind} {why}"] += 1
    kinds = _kinds(body, choice, hidden)
    swapped = tuple(site for site in hidden if site.kind in kinds)
    counts = Counter(site.kind for site in swapped)
    said = tuple(f"{number} {what}" for what, number in kept.items())
    same = _same_as(choice.variant)
    already = sum(site.kind == same for site in hidden)
    if already and not swapped:
        said = (f"all {already} are {same} already", *said)
    return Plan(swapped, counts.most_common(1)[0][0] if counts else None, said)


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
    if site.complex:
        return "of complex numbers, for which the others are not defined"
    return None


def _kinds(body: Body, choice: Choice, hidden: Sequence[Site]) -> set[str]:
    there = {site.kind for site in hidden}
    only = choice.options.get("only")
    if only is not None:
        return {kind for kind in there if kind.lower() == str(only).lower()}
    there.discard(_same_as(choice.variant))
    cause = (body.finding or {}).get("cause") or {}
    if cause.get("operator") in there:
        return {cause["operator"]}
    return {kind for kind in there if takes_too_much(kind)} or there


def _same_as(variant: str) -> str:
    """The activation that a variant is; "" for one that is made to measure."""
    return MODULES[variant].__name__ if variant in MODULES else ""


def sites_of(body: Body) -> tuple[Site, ...]:
    """The calls of activations; without a batch only a plain Sequential shows them. Raises Refused."""
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


def depth_of(body: Body, plan: Plan) -> int:
    """How many layers the signal goes through, activation by activation."""
    spine = sum(part.kind == "depth" for part in body.anatomy.parts)
    return max(1, min(spine, len(plan.swapped) + 1) if spine else len(plan.swapped))


def whole_modules(plan: Plan, body: Body) -> list[str]:
    """The activation modules of which every call is to change."""
    chosen = Counter(site.module for site in plan.swapped if site.module is not None)
    every = Counter(site.module for site in sites_of(body) if site.module is not None)
    return [name for name, number in chosen.items() if name and number == every[name]]
