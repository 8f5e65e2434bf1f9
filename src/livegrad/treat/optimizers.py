"""Bringing new parameters into the optimizer that trains a model, and out again."""

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any

import torch
from torch import nn

from livegrad.treat.groups import split


def join(
    optimizers: Sequence[torch.optim.Optimizer],
    beside: Sequence[nn.Parameter],
    new: Sequence[nn.Parameter],
    decayed: bool = False,
) -> tuple[str, Callable[[], None]]:
    """Have `new` trained as the layer that `beside` belongs to, without weight decay unless `decayed`; say
    how, and how to undo it.

    Beside a frozen layer they are frozen too, as they would be had the program made them. Without decay they
    get a group of their own with otherwise the same settings; learning-rate schedulers that are attached,
    which counted the groups when they were made, get a value for it.
    """
    if beside and not any(parameter.requires_grad for parameter in beside):
        for parameter in new:
            parameter.requires_grad_(False)
        return "frozen, as its layer is", _nothing
    found = _home(optimizers, beside)
    if found is None:
        return ("trained by no optimizer that is known", _nothing) if optimizers else ("", _nothing)
    optimizer, group = found
    decay = group.get("weight_decay", 0)
    group["params"].extend(new)
    part: Callable[[], None] = _nothing
    if decayed or not decay:
        said = f"in its optimizer's group, weight decay {decay:g}" if decay else "in its optimizer's group"
    else:
        number = next(i for i, each in enumerate(optimizer.param_groups) if each is group)
        _, part = split(optimizer, number, new, weight_decay=0.0)
        said = "in an optimizer group of their own, without weight decay"

    def undo() -> None:
        part()
        leaving = {id(p) for p in new}
        group["params"][:] = [p for p in group["params"] if id(p) not in leaving]
        for parameter in new:
            optimizer.state.pop(parameter, None)

    return said, undo


def _home(
    optimizers: Sequence[torch.optim.Optimizer], beside: Sequence[nn.Parameter]
) -> tuple[torch.optim.Optimizer, dict[str, Any]] | None:
    layer = {id(parameter) for parameter in beside}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if any(id(p) in layer for p in group["params"]):
                return optimizer, group
    return None


def begun(optimizers: Sequence[torch.optim.Optimizer]) -> bool:
    """Whether a training has begun whose weights are worth keeping: more than one step was taken.

    As far as the optimizers remember: plain SGD remembers nothing, and momentum not how often.
    """
    return any(_several(state) for optimizer in optimizers for state in optimizer.state.values())


def _several(state: Any) -> bool:
    if not isinstance(state, dict):
        return bool(state)
    counts = [state[name] for name in ("step", "n_iter", "func_evals") if name in state]
    # LBFGS enters its counters before its first look at the model.
    return any(float(count) > 1 for count in counts) if counts else bool(state)


def _nothing() -> None:
    """Nothing was changed."""


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its step asks for the loss, again and again if it likes, as LBFGS does."""
    asked = signature(type(optimizer).step).parameters.get("closure")
    return asked is not None and asked.default is Parameter.empty
