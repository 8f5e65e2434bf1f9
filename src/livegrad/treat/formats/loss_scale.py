"""Loss scaling for a program that does none: what a GradScaler does, from outside.

The backward pass is linear in its starting vector, so the vector is multiplied by S and the gradients that it
leaves by 1/S, both exact for a power of two. Programs see gradients of their usual size: what clips, logs or
accumulates them stays right. Gradients that are there already are taken up and down with the new ones. A step
whose gradients overflowed is left out and S is halved; after 2000 good ones in a row it is doubled
(Micikevicius et al. 2018, and the numbers of torch.amp.GradScaler).
"""

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

FIRST = 2.0**16
PATIENCE = 2000
_ENGINE = "_engine_run_backward"


class LossScale:
    """The scale on backward passes that reach one of `parameters` (ids)."""

    def __init__(self, parameters: Collection[int], first: float = FIRST) -> None:
        self.value = first
        self._mine = frozenset(parameters)
        self._good = 0

    def install(self) -> Callable[[], None]:
        """Scale from now on; returns what ends it."""
        original = vars(torch.autograd)[_ENGINE]
        active = [True]

        @functools.wraps(original)
        def _engine_run_backward(outputs: Any, *args: Any, **kwargs: Any) -> Any:
            leaves = self._leaves(outputs, args, kwargs) if active[0] else []
            if not leaves:
                return original(outputs, *args, **kwargs)
            return self._run(original, outputs, args, kwargs, leaves)

        setattr(torch.autograd, _ENGINE, _engine_run_backward)

        def undo() -> None:
            active[0] = False
            # Somebody may have wrapped this since; then it only passes on.
            if vars(torch.autograd)[_ENGINE] is _engine_run_backward:
                setattr(torch.autograd, _ENGINE, original)

        return undo

    def stepped(self, overflowed: bool) -> None:
        """Adapt to a step whose gradients overflowed, or did not."""
        self._good = 0 if overflowed else self._good + 1
        if overflowed:
            self.value /= 2
        elif self._good == PATIENCE:
            self.value, self._good = self.value * 2, 0

    def _leaves(self, outputs: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Tensor]:
        """What this pass adds gradients to; [] where it is not to be scaled: a pass inside another, one whose
        gradients are differentiated again, or one of another model.
        """
        gradients, _, create_graph, inputs = (*args, None, None, None, None)[:4]
        nested = torch._C._current_autograd_node() is not None
        if not kwargs.get("accumulate_grad") or create_graph or nested or gradients is None:
            return []
        found = [x for x in inputs if isinstance(x, Tensor)] if inputs else _reached(outputs)
        return found if any(id(p) in self._mine for p in found) else []

    def _run(
        self,
        original: Callable[..., Any],
        outputs: Any,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        leaves: list[Tensor],
    ) -> Any:
        scale = self.value
        start = tuple(None if g is None else g * scale for g in args[0])
        _multiply(leaves, scale)
        try:
            return original(outputs, start, *args[1:], **kwargs)
        finally:
            _multiply(leaves, 1 / scale)


def _multiply(leaves: Sequence[Tensor], factor: float) -> None:
    with torch.no_grad():
        for p in leaves:
            if p.grad is not None:
                p.grad.mul_(factor)


def _reached(outputs: Any) -> list[Tensor]:
    """The leaves at the ends of the graph behind `outputs`, each once."""
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    waiting = [getattr(y, "grad_fn", None) or getattr(y, "node", None) for y in outputs]
    for y in outputs:
        if isinstance(y, Tensor) and y.grad_fn is None and y.requires_grad:
            found[id(y)] = y
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor):
            found[id(leaf)] = leaf
        waiting.extend(following for following, _ in node.next_functions)
    return list(found.values())
