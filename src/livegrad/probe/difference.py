"""A loss written out by hand, as a square or the size of what the model returned less the targets:
`((y - t) ** 2).mean()`, `(t - y).abs().sum()`. So torch computes `F.l1_loss` too.

Autograd keeps the difference; with the values that the model returned it tells the targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.operation import operator_name

# They change a tensor's shape and leave its entries in their order.
_RESHAPES = frozenset(
    {"View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Alias", "ToCopy", "Clone"}
)
_POWERS = ("Abs", "Pow", "Mul")
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Difference:
    """values, targets: of one shape. power: 2 of a square, 1 of an absolute value."""

    values: Tensor
    targets: Tensor
    power: int


def read_difference(node: Any, answers: Sequence[Tensor]) -> Difference | None:
    """What an autograd node says of the targets, if it is a square or an absolute value of one of `answers`
    less something that needs no gradient; None if not.
    """
    less = node.next_functions[0][0] if operator_name(node) in _POWERS else None
    if less is None or operator_name(less) != "Sub" or less._saved_alpha != 1:
        return None
    left, right = (child for child, _ in less.next_functions)
    answer = _answer(left or right, answers) if (left is None) != (right is None) else None
    if answer is None or answer.is_complex():
        return None
    difference = node._saved_self
    # Of a broadcast difference (N, N) the N answers say nothing.
    if not isinstance(difference, Tensor) or difference.numel() != answer.numel() or not answer.numel():
        return None
    power = _power(node, difference)
    values = answer.detach().reshape(difference.shape)
    targets = values - difference if left is not None else values + difference
    return None if power is None else Difference(values, targets, power)


def _power(node: Any, difference: Tensor) -> int | None:
    name = operator_name(node)
    if name == "Abs":
        return 1
    if name == "Pow":
        return 2 if node._saved_exponent == 2 else None
    other = node._saved_other
    return 2 if isinstance(other, Tensor) and torch.equal(difference, other) else None


def _answer(node: Any, answers: Sequence[Tensor]) -> Tensor | None:
    """The one of `answers` that `node` made, or handed on in another shape."""
    for _ in range(_LONGEST_CHAIN):
        found = [t for t in answers if t.grad_fn is node]
        if found:
            return found[0] if len(found) == 1 else None
        if operator_name(node) not in _RESHAPES:
            return None
        node = node.next_functions[0][0]
    return None
