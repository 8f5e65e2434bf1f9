"""Names for layers that a user knows them by: module paths, and functional operations as `module.tanh#3` in
order of execution.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch

from livegrad.probe.activation import is_activation
from livegrad.probe.operation import Operation, operator_name

_PRETTY = {
    "Relu": "ReLU", "Gelu": "GELU", "Silu": "SiLU", "Elu": "ELU", "LeakyRelu": "LeakyReLU", "Celu": "CELU",
    "LogSigmoid": "LogSigmoid", "RreluWithNoise": "RReLU",
}  # fmt: skip
# Autograd nodes that end a call by putting its result into shape; the call's own name says more.
_SHAPING = frozenset({
    "View", "UnsafeView", "ReshapeAlias", "Transpose", "Permute", "Squeeze", "Unsqueeze", "Clone",
    "Stack", "Select",
})  # fmt: skip


@dataclass(frozen=True)
class Label:
    """name: module path and operation, not yet unique. type: class of the module, or name of the
    operation.
    """

    name: str
    type: str


def operator_label(operation: Operation) -> str:
    """The autograd operation's plain name, or the call's where the operation only gives the result its
    shape.
    """
    name = operator_name(operation.node)
    return operation.call if name in _SHAPING else _PRETTY.get(name, name)


def label(
    operation: Operation,
    joins: bool,
    finals: Mapping[Any, torch.nn.Module],
    module_names: Mapping[torch.nn.Module, str],
    root: torch.nn.Module,
) -> Label:
    """Name one operation. joins: several activations flow into it. finals: node -> module whose output it
    made.

    A leaf module is known by its path, and so is a block that ends in a join; any other operation by its
    module's path and its own name.
    """
    module = operation.module
    whole = finals.get(operation.node)
    call = operator_label(operation) if is_activation(operation.node) else operation.call.strip("_")
    name = call if operation.unseen else call.lower()
    if whole is not None and (joins or is_leaf(whole)):
        if whole is not root:
            return Label(module_names.get(whole) or type(whole).__name__, type(whole).__name__)
        if is_leaf(root) and type(root).__module__.startswith("torch.nn."):
            return Label(name, type(root).__name__)
    path = "" if module is None or module is root else module_names.get(module) or type(module).__name__
    return Label(f"{path}.{name}" if path else name, call)


def is_leaf(module: torch.nn.Module) -> bool:
    """True for a module that computes in one piece: it has no children, or only such as prepare its weights
    or are used as weights.
    """
    children = list(module.children())
    if not children or isinstance(module, torch.nn.MultiheadAttention):
        return True
    return all(name == "parametrizations" for name, _ in module.named_children())


def numbered(
    labels: Sequence[Label], each: Mapping[str, int] | None = None, taken: Set[str] = frozenset()
) -> list[str]:
    """Make the names of `labels`, given in order of execution, unique and unlike those `taken`.

    A name that occurs more than once gets #1, #2, …; one of which `each` tells how often it occurs in each
    step of an unrolled loop gets its time, `cell[t=0]`, `cell[t=1]`, …, or `cell.sigmoid#2[t=0]` if that is
    more than once.
    """
    count = Counter(item.name for item in labels)
    used = {*taken, *(name for name, times in count.items() if times == 1)}
    so_far: Counter[str] = Counter()
    names = []
    for item in labels:
        k, times = so_far[item.name], count[item.name]
        so_far[item.name] += 1
        if times == 1 and item.name not in taken:
            names.append(item.name)
        else:
            names.append(_fresh(item.name, k, each.get(item.name, 0) if each else 0, used))
        used.add(names[-1])
    return names


def _fresh(name: str, k: int, each: int, used: Set[str]) -> str:
    """The name of the k-th occurrence, `each` of which make a step of a loop, unlike any in `used` (a user
    may call a module "relu#1").
    """
    if each == 1:
        found = f"{name}[t={k}]"
    else:
        found = f"{name}#{k % each + 1}[t={k // each}]" if each else f"{name}#{k + 1}"
    while found in used:
        found += "'"
    return found
