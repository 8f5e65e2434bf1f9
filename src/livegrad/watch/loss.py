"""Which loss an optimizer step minimised: the roots of the backward passes since the last step that reach it.

A *cycle* is the backward passes between two optimizer steps. Gradient accumulation makes several passes a
cycle, and their sum is the objective whose gradient the step sees. With several optimizers a pass counts
for those whose parameters its graph reaches; the graph is walked once for each line of the program that
calls backward.
"""

import sys
import weakref
from typing import Any

import torch

Site = tuple[Any, int]
MOST_PASSES = 4096


class LossLedger:
    """Keeps the backward passes of the present cycle, each as (value, site).

    value: ⟨roots, gradients given⟩, a float, or a 0-dim tensor without graph where it is on a device; None
    where it was not read. site: the line that called backward; None where it was not looked for.
    """

    def __init__(self) -> None:
        self.cycle = 0
        self.last_site: Site | None = None
        self.closed = False
        self._passes: list[tuple[Any, Site | None]] = []
        self._reach: dict[Site, frozenset[int]] = {}
        self._belongs: dict[tuple[Site, int], bool] = {}
        self._unscaled: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def scaled(self, outputs: Any, scaled: Any) -> None:
        """Remember the loss a GradScaler multiplied, to report it in its own unit."""
        if isinstance(outputs, torch.Tensor) and isinstance(scaled, torch.Tensor):
            unscaled, key = self._unscaled, id(scaled)
            unscaled[key] = (weakref.ref(scaled, lambda _: unscaled.pop(key, None)), outputs.detach())

    def add(self, args: tuple[Any, ...], kwargs: dict[str, Any], read: bool, track: bool) -> float | None:
        """Enter a backward pass that is about to run.

        read: take its value even if that is on a device. track: find out which parameters it reaches.
        Returns the value where it is known at once.
        """
        if self.closed:
            self.cycle += 1
            self._passes = []
            self.closed = False
        roots = args[0] if args else kwargs.get("tensors")
        gradients = args[1] if len(args) > 1 else kwargs.get("grad_tensors")
        self.last_site = site = self._track(roots) if track else None
        value = self._value(roots, gradients, read)
        # A program that calls backward for ever without an optimizer must not fill the memory.
        if len(self._passes) < MOST_PASSES:
            self._passes.append((value, site))
        return value if type(value) is float else None

    @property
    def empty(self) -> bool:
        """Whether no backward pass has been entered in this cycle."""
        return not self._passes

    def close(self) -> None:
        """An optimizer stepped: the next backward pass begins a new cycle."""
        self.closed = True

    def total(self, members: frozenset[int], seen_cycle: int) -> Any:
        """The objective of a step on the parameters `members` (ids): a float, a 0-dim tensor, or None if
        unknown.

        seen_cycle: the cycle of that optimizer's last step; a step without a backward pass since has no loss.
        """
        if self.cycle == seen_cycle or not 0 < len(self._passes) < MOST_PASSES:
            return None
        mine = [value for value, site in self._passes if site is None or self._reaches(site, members)]
        mine = mine or [value for value, _ in self._passes]
        return None if any(value is None for value in mine) else sum(mine[1:], mine[0])

    def reached(self) -> frozenset[int]:
        """id of every parameter that any tracked backward pass reached."""
        return frozenset().union(*self._reach.values())

    def _reaches(self, site: Site, members: frozenset[int]) -> bool:
        key = (site, hash(members))
        known = self._belongs.get(key)
        if known is None:
            known = self._belongs[key] = not members.isdisjoint(self._reach[site])
        return known

    def _track(self, roots: Any) -> Site | None:
        site = _caller()
        if site not in self._reach:
            if len(self._reach) >= 64:
                return None
            self._reach[site] = _leaves(roots)
        return site

    def _value(self, roots: Any, gradients: Any, read: bool) -> Any:
        if isinstance(roots, torch.Tensor) and gradients is None:
            found = self._unscaled.get(id(roots)) if self._unscaled else None
            root = found[1] if found is not None and found[0]() is roots else roots
            if root.dim() and root.numel() != 1:
                return None
            if root.is_cpu:
                return root.item()
            return root.detach().clone() if read else None
        return _weighted_sum(roots, gradients) if read else None


def _weighted_sum(roots: Any, gradients: Any) -> Any:
    """⟨roots, gradients⟩, the number whose gradient the pass computes; None where that is not a plain sum."""
    roots = [roots] if isinstance(roots, torch.Tensor) else list(roots)
    if gradients is None or isinstance(gradients, torch.Tensor):
        gradients = [gradients] * len(roots) if gradients is None else [gradients]
    total: Any = None
    with torch.no_grad():
        for root, gradient in zip(roots, gradients, strict=False):
            if not isinstance(root, torch.Tensor) or root.is_complex() or root.is_sparse:
                return None
            if gradient is not None and not isinstance(gradient, torch.Tensor):
                return None
            term = root.sum() if gradient is None else (root * gradient).sum()
            total = term if total is None else total + term.to(total.device)
    return total.item() if total is not None and total.device.type == "cpu" else total


def _caller() -> Site:
    """The user's line that called backward, as (code object, line)."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(("livegrad.", "torch.")) and module != "torch":
            break
        frame = frame.f_back
    return frame.f_code, frame.f_lineno


def _leaves(roots: Any) -> frozenset[int]:
    """id of every leaf tensor that the graph under `roots` reaches."""
    roots = [roots] if isinstance(roots, torch.Tensor) else list(roots)
    stack = [root.grad_fn for root in roots if isinstance(root, torch.Tensor) and root.grad_fn is not None]
    seen = set(stack)
    leaves = {id(root) for root in roots if isinstance(root, torch.Tensor) and root.is_leaf}
    while stack:
        node = stack.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            leaves.add(id(variable))
        for child, _ in node.next_functions:
            if child is not None and child not in seen:
                seen.add(child)
                stack.append(child)
    return frozenset(leaves)
