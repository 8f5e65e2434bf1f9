"""Clipping the gradient between two time steps of a recurrence that is written as a loop.

The state that enters a step gets an identity whose way back holds the norm: forward nothing changes. Without
a limit it is ten times the norm that comes in at the last step, so that no loop may amplify by more than a
decade whatever the unit of the loss.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.treat.body import Body

AMPLIFICATION = 10.0
_CELLS = (nn.RNNCellBase,)
_FUSED = (nn.RNNBase,)


def looped(body: Body) -> list[str]:
    """Names of the modules that carry a state from one time step to the next: cells, and layers with weights
    that a forward pass calls again and again.
    """
    modules = dict(body.model.named_modules())
    found = [name for name, module in modules.items() if isinstance(module, _CELLS)]
    if body.args is not None:
        parts = (part.module for part in body.anatomy.parts if part.kind == "time")
        within = tuple(f"{name}." for name in found)
        found += [
            name
            for name in dict.fromkeys(parts)
            if name is not None
            and name not in found
            and isinstance(modules.get(name), nn.Linear)
            and not (within and name.startswith(within))
        ]
    return found


def fused(model: nn.Module) -> str | None:
    """The type of a layer that runs all its time steps inside one operation, or None."""
    return next((type(m).__name__ for m in model.modules() if isinstance(m, _FUSED)), None)


def bound(body: Body, name: str, limit: float | None, share: "PassGates") -> Callable[[], None]:
    """Hold the gradient that module `name` hands back to the state it was given; returns what undoes it."""
    module = body.model.get_submodule(name)
    handle = module.register_forward_pre_hook(_Entry(share, limit, isinstance(module, _CELLS)))
    return handle.remove


class PassGates:
    """One gate per forward pass of the model, from whose root it is told of each."""

    def __init__(self) -> None:
        self.gate = Gate(None)

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.gate = Gate(None)


class Gate:
    """Holds the norm of what passes, to `limit`, or to ten times that of what passed first."""

    def __init__(self, limit: float | None) -> None:
        self.limit: float | Tensor | None = limit

    def __call__(self, gradient: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(gradient)
        if self.limit is None:
            self.limit = AMPLIFICATION * norm.detach()
        limit = torch.as_tensor(self.limit, device=norm.device, dtype=norm.dtype)
        factor = torch.where(norm > limit, limit / norm, torch.ones_like(norm))
        return torch.where(torch.isfinite(norm), gradient * factor, torch.zeros_like(gradient))


class _Entry:
    def __init__(self, share: PassGates, limit: float | None, cell: bool) -> None:
        self.share, self.limit, self.cell = share, limit, cell

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> Any:
        place = 1 if self.cell else 0
        if len(args) <= place or not torch.is_grad_enabled():
            return None
        gate = self.share.gate if self.limit is None else Gate(self.limit)
        return (*args[:place], _held(args[place], gate), *args[place + 1 :])


def _held(state: Any, gate: Gate) -> Any:
    if isinstance(state, (tuple, list)):
        return type(state)(_held(item, gate) for item in state)
    return _Held.apply(state, gate) if isinstance(state, Tensor) and state.requires_grad else state


class _Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, state: Tensor, gate: Gate) -> Tensor:
        ctx.gate = gate
        return state.view_as(state)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return ctx.gate(gradients[0]), None
