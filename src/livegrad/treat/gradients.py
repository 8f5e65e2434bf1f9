"""The gradients an optimizer is about to use, and leaving one step out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer


def parameters_with_gradient(optimizer: Optimizer) -> list[Tensor]:
    """The optimizer's parameters that have a gradient, each once, in the order of its groups."""
    found = {id(p): p for group in optimizer.param_groups for p in group["params"] if p.grad is not None}
    return list(found.values())


def entries(gradient: Tensor) -> Tensor:
    """The numbers of a gradient as one dense tensor that shares its memory: the values of a sparse one."""
    return gradient._values() if gradient.is_sparse else gradient


def coalesce(parameters: Sequence[Tensor]) -> None:
    """Sum what sparse gradients hold several times for one place, so that their values are the gradient."""
    for p in parameters:
        if p.grad is not None and p.grad.is_sparse and not p.grad.is_coalesced():
            p.grad = p.grad.coalesce()


def total_norm(parameters: Sequence[Tensor]) -> Tensor:
    """‖g‖ over all gradients, a 0-dim tensor, as `torch.nn.utils.clip_grad_norm_` computes it."""
    return torch.nn.utils.get_total_norm([entries(p.grad) for p in parameters if p.grad is not None])


def largest_entry(parameters: Sequence[Tensor]) -> Tensor:
    """max |g| over all gradients, a 0-dim tensor; NaN where one entry is."""
    return torch.nn.utils.get_total_norm(
        [entries(p.grad) for p in parameters if p.grad is not None], float("inf")
    )


def all_finite(parameters: Sequence[Tensor]) -> bool:
    """Whether every entry of the gradients is a number; waits for their device."""
    return bool(torch.isfinite(largest_entry(parameters)))


def leave_out(optimizer: Optimizer) -> Callable[[], None]:
    """Have the optimizer's next step do nothing: no update, no momentum, no decay, no count.

    The gradients are taken away; the function that is returned puts them back, to be called behind the step.
    """
    held = [(p, p.grad) for p in parameters_with_gradient(optimizer)]
    for p, _ in held:
        p.grad = None

    def put_back() -> None:
        for p, gradient in held:
            if p.grad is None:
                p.grad = gradient

    return put_back
