"""A few small gradients that every NaN of a backward pass must flow into: looked at on each step instead of
all.

A gradient that breaks somewhere breaks everything below. So for each operation of the graph that takes a
parameter and has no watched parameter below it yet, the smallest of its parameters is watched: in a network
with one input, the bias of the first layer.
"""

import weakref
from typing import Any

from torch import Tensor

from livegrad.probe.forensics.operand import flaw
from livegrad.probe.operation import is_rearranging, operator_name
from livegrad.watch.plan import Plan
from livegrad.watch.subject import parameters_of

MOST_SENTINELS = 4
MOST_ENTRIES = 32768
MOST_NODES = 20000
MOST_PLANS = 64
SMALL = 4096


def choose_sentinels(root: Any) -> list[Tensor]:
    """The parameters to watch for a backward pass from the autograd node `root`."""
    nodes = _by_number(root)
    chosen: dict[int, Tensor] = {}
    covered: set[Any] = set()
    for node in nodes:
        children = [child for child, _ in node.next_functions if child is not None]
        if any(child in covered for child in children):
            covered.add(node)
        elif not (len(children) == 1 and is_rearranging(operator_name(node))):
            own = [p for child in children if (p := _parameter(child)) is not None]
            own = [p for p in own if p.numel() <= MOST_ENTRIES]
            if own and len(chosen) < MOST_SENTINELS:
                smallest = min(own, key=Tensor.numel)
                chosen[id(smallest)] = smallest
                covered.add(node)
            elif any(id(p) in chosen for p in own):
                covered.add(node)
    return list(chosen.values())


def _by_number(root: Any) -> list[Any]:
    found, seen = [root], {root}
    for node in found:
        for child, _ in node.next_functions:
            if child is not None and child not in seen and _leaf(child) is None:
                seen.add(child)
                found.append(child)
        if len(found) > MOST_NODES:
            break
    return sorted(found, key=lambda node: node._sequence_nr())


def _leaf(node: Any) -> Tensor | None:
    return node.variable if node.name() == "torch::autograd::AccumulateGrad" else None


def _parameter(node: Any) -> Tensor | None:
    """The parameter that `node` is, or that it only rearranges."""
    while node is not None:
        leaf = _leaf(node)
        if leaf is not None:
            return leaf
        children = [child for child, _ in node.next_functions if child is not None]
        if len(children) != 1 or not is_rearranging(operator_name(node)):
            return None
        node = children[0]
    return None


class Sentinels:
    """The parameters watched so far, held weakly."""

    def __init__(self) -> None:
        self._watched: dict[int, weakref.ref[Tensor]] = {}
        self._version = 0
        self._by_plan: dict[int, tuple[int, list[weakref.ref[Tensor]]]] = {}

    def learn(self, root: Any) -> None:
        """Choose for a backward pass that is about to run from `root`."""
        for parameter in choose_sentinels(root):
            known = self._watched.get(id(parameter))
            if known is None or known() is not parameter:
                self._watched[id(parameter)] = weakref.ref(parameter)
                self._version += 1

    def of(self, plan: Plan, optimizer: Any) -> list[weakref.ref[Tensor]]:
        """The parameters to look at before this optimizer's step: the first and the last small one of its own
        where a backward pass has shown none.
        """
        known = self._by_plan.get(id(plan))
        if known is None or known[0] != self._version:
            known = (self._version, self.among(plan.members) or _ends(optimizer))
            kept = {} if len(self._by_plan) > MOST_PLANS else self._by_plan
            self._by_plan = {**kept, id(plan): known}
        return known[1]

    def among(self, members: frozenset[int]) -> list[weakref.ref[Tensor]]:
        """Those that are among the parameters `members` (ids)."""
        return [reference for key, reference in list(self._watched.items()) if key in members]


def _ends(optimizer: Any) -> list[weakref.ref[Tensor]]:
    small = [p for p in parameters_of(optimizer) if p.requires_grad and p.numel() <= SMALL]
    return [weakref.ref(p) for p in dict.fromkeys((*small[:1], *small[-1:]))]


def is_broken(parameters: list[weakref.ref[Tensor]]) -> bool:
    """Whether a gradient of one of these, all on the host, is not finite."""
    for reference in parameters:
        parameter = reference()
        gradient = parameter.grad if parameter is not None else None
        if gradient is None or not gradient.is_cpu or gradient.is_sparse:
            continue
        total = gradient.sum().item()
        if total - total != 0 and flaw(gradient):
            return True
    return False
