"""Putting an activation in the place of others: modules in their parents, calls where they are made."""

import copy
from collections import Counter

from torch import nn

from livegrad.treat.body import Body
from livegrad.treat.remedy import Change, Refused
from livegrad.treat.sites import Site
from livegrad.treat.swapped_calls import Line, Swap, SwappedCalls
from livegrad.treat.swaps.plan import Plan, sites_of, whole_modules


def swap_modules(body: Body, plan: Plan, new: nn.Module) -> list[Change]:
    """Replace the modules of which every call is to change."""
    return [_replaced(body, name, new) for name in whole_modules(plan, body)]


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


def swap_calls(body: Body, plan: Plan, new: nn.Module) -> list[Change]:
    """Replace the other calls. Raises Refused for one that no line of the program makes."""
    whole = set(whole_modules(plan, body))
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
    every = Counter((s.owner, s.line, s.call) for s in sites_of(body))
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
