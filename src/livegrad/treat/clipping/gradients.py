"""Clipping the gradients that are there: by their common norm, entry by entry, or unit by unit."""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from livegrad.treat.gradients import entries, largest_entry, total_norm

SMALLEST_WEIGHT = 1e-3
"""Norm that a unit's weights count as at least, so that units which start at zero can move (Brock et al.)."""


def by_norm(parameters: Sequence[Tensor], limit: float | Tensor, norm: Tensor) -> None:
    """g ← g min(1, limit/(‖g‖ + 1e-6)), bit for bit as `torch.nn.utils.clip_grad_norm_` does it."""
    dense = not any(p.grad is not None and p.grad.is_sparse for p in parameters)
    if dense and not (isinstance(limit, Tensor) and limit.device.type != "cpu"):
        torch.nn.utils.clip_grads_with_norm_(parameters, float(limit), norm)
        return
    factor = torch.clamp(limit / (norm + 1e-6), max=1.0)
    for gradient in _gradients(parameters):
        gradient.mul_(factor.to(gradient.device))


def by_value(parameters: Sequence[Tensor], limit: float) -> None:
    """Hold every entry in [−limit, limit]; of a complex one the real and the imaginary part."""
    plain = [p for p in parameters if p.grad is not None and not (p.grad.is_sparse or p.grad.is_complex())]
    if plain:
        torch.nn.utils.clip_grad_value_(plain, limit)
    known = set(map(id, plain))
    for gradient in _gradients([p for p in parameters if id(p) not in known]):
        real = torch.view_as_real(gradient) if gradient.is_complex() else gradient
        real.clamp_(-limit, limit)


def by_unit(parameters: Sequence[Tensor], limit: float, spared: Collection[int] = ()) -> None:
    """‖g_i‖ ≤ limit · max(‖w_i‖, 1e-3) for each unit i, a row of a matrix or an output channel; a vector is
    one unit (adaptive gradient clipping; Brock et al. 2021).

    spared: ids of parameters to leave alone.
    """
    for p in parameters:
        if p.grad is None or id(p) in spared:
            continue
        gradient, weight = entries(p.grad), p.detach()
        if p.grad.is_sparse:
            weight = weight[tuple(p.grad._indices())]
        allowed = limit * _unit_norms(weight).clamp_min(SMALLEST_WEIGHT)
        factor = (allowed / _unit_norms(gradient).clamp_min(1e-6)).clamp_max(1.0)
        gradient.mul_(factor.to(gradient.real.dtype if gradient.is_complex() else gradient.dtype))


def finite_norm(parameters: Sequence[Tensor]) -> Tensor | None:
    """‖g‖; None where an entry is not finite. Only to be asked for gradients on the CPU.

    Finite gradients whose squares overflow are first divided by their largest entry: what they point to is
    still known.
    """
    norm = total_norm(parameters)
    if torch.isfinite(norm):
        return norm
    largest = largest_entry(parameters)
    if not torch.isfinite(largest):
        return None
    for gradient in _gradients(parameters):
        gradient.div_(largest)
    return total_norm(parameters)


def zero_if_broken(parameters: Sequence[Tensor], norm: Tensor) -> Tensor:
    """Set all gradients to zero where `norm` is not finite, without waiting for the device; returns a finite
    norm.
    """
    broken = ~torch.isfinite(norm)
    for gradient in _gradients(parameters):
        gradient.masked_fill_(broken.to(gradient.device), 0.0)
    return norm.masked_fill(broken, 0.0)


def on_cpu(parameters: Sequence[Tensor]) -> bool:
    """Whether asking for a number makes nothing wait."""
    return all(p.device.type == "cpu" for p in parameters)


def scale_on(optimizer: Optimizer) -> float:
    """The loss scale that the gradients of a fused optimizer still carry in its step; 1 without one."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [entries(p.grad) for p in parameters if p.grad is not None]


def _unit_norms(x: Tensor) -> Tensor:
    wide = (x.abs() if x.is_complex() else x).float()
    if x.dim() <= 1:
        return wide.norm()
    return torch.linalg.vector_norm(wide, dim=tuple(range(1, x.dim())), keepdim=True)
