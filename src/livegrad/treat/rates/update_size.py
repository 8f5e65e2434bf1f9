"""‖ΔW‖/‖W‖ of weight matrices: how large an optimizer's first steps are, recorded, by closed form or tried.

Matrices that start at zero or next to it, as gates and class tokens do, do not count: their first steps are
larger than they are, and rightly so.
"""

import copy
from collections.abc import Mapping
from math import inf, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from livegrad.treat.recorded import Recorded

_SMALLEST_GAIN = 0.01
_SMALLEST_COUNT = 16
_SIGN_STEPS = ("Adam", "AdamW", "NAdam", "Adamax", "Adagrad", "Lion")
"""Optimizers whose first step is ±lr in every entry, whatever the gradient."""


def matrices(model: nn.Module) -> dict[str, Tensor]:
    """Name -> weight matrix whose steps count."""
    found = {}
    for name, p in model.named_parameters():
        if p.dim() < 2 or p.numel() < _SMALLEST_COUNT or not p.requires_grad or p.is_complex():
            continue
        if float(p.detach().float().norm()) >= _SMALLEST_GAIN * sqrt(p.shape[0]):
            found[name] = p
    return found


def recorded_sizes(known: Recorded, model: nn.Module) -> dict[str, float]:
    """Name -> ‖ΔW‖/‖W‖ at the first recorded step that was measured."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = {name: 1 / turnover for name, turnover in known.by_tensor("turnover").items()}
    found = {}
    for name in matrices(model):
        values = ratios.get(name, np.empty(0))
        values = values[np.isfinite(values) & (values > 0)]
        if len(values):
            found[name] = float(values[0])
    return found


def closed_form_sizes(optimizer: Optimizer, model: nn.Module) -> dict[str, float]:
    """Name -> lr √n/‖W‖, for optimizers whose first step is ±lr in every entry; {} for others."""
    if type(optimizer).__name__ not in _SIGN_STEPS:
        return {}
    rates = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    return {
        name: rates[id(p)] * sqrt(p.numel()) / float(p.detach().float().norm())
        for name, p in matrices(model).items()
        if id(p) in rates
    }


def sound_gradient_norm(optimizer: Optimizer, model: nn.Module, share: float) -> float:
    """The largest ‖g‖ along which one step of SGD changes no weight matrix by more than `share` of itself,
    share · ‖W‖/lr of the smallest; infinite for optimizers that divide by the gradient's size.
    """
    if type(optimizer).__name__ != "SGD":
        return inf
    rates = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    return min(
        (
            share * float(p.detach().float().norm()) / rates[id(p)]
            for p in matrices(model).values()
            if rates.get(id(p), 0.0) > 0
        ),
        default=inf,
    )


def recorded_steps(known: Recorded, optimizer: Optimizer, model: nn.Module) -> dict[str, float]:
    """Name -> lr ‖g‖/((1 − β) ‖W‖) from recorded gradients, the median step, for SGD; {} for others."""
    if type(optimizer).__name__ != "SGD":
        return {}
    rates = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    norms = known.by_tensor("gradient_norm")
    found = {}
    for name, p in matrices(model).items():
        values = norms.get(name, np.empty(0))
        values = values[np.isfinite(values) & (values > 0)]
        if id(p) in rates and len(values):
            size = rates[id(p)] * float(np.median(values)) * _momentum(optimizer)
            found[name] = size / float(p.detach().float().norm())
    return found


def tried_sizes(optimizer: Optimizer, model: nn.Module) -> dict[str, float]:
    """Name -> ‖ΔW‖/‖W‖ of the step that the optimizer is about to make: it is made and taken back.

    {} for an optimizer that needs a closure, or whose step cannot be reached without its hooks.
    """
    step = getattr(type(optimizer).step, "__wrapped__", None)
    if step is None or isinstance(optimizer, torch.optim.LBFGS):
        return {}
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    kept = [(p, p.detach().clone(), p.grad.clone()) for p in parameters if p.grad is not None]
    state = {p: copy.deepcopy(optimizer.state[p]) for p in parameters if p in optimizer.state}
    before = {id(p): value for p, value, _ in kept}
    try:
        step(optimizer)
        found = {}
        for name, p in matrices(model).items():
            if id(p) in before:
                moved = (p.detach().float() - before[id(p)].float()).norm()
                found[name] = float(moved / before[id(p)].float().norm())
    finally:
        for p, value, gradient in kept:
            p.detach().copy_(value)
            p.grad = gradient if p.grad is None else p.grad.copy_(gradient)
            optimizer.state.pop(p, None)
        optimizer.state.update(state)
    return {name: ratio * _momentum(optimizer) for name, ratio in found.items()}


def largest_by_group(
    optimizer: Optimizer, model: nn.Module, sizes: Mapping[str, float]
) -> list[float | None]:
    """For each group the largest size of a matrix in it, None where none is known."""
    names = {id(p): name for name, p in model.named_parameters()}
    found: list[float | None] = []
    for group in optimizer.param_groups:
        known = [sizes[names[id(p)]] for p in group["params"] if names.get(id(p)) in sizes]
        found.append(max(known, default=None))
    return found


def _momentum(optimizer: Any) -> float:
    """1/(1 − β): what later steps add up to under SGD with momentum, when gradients stay as they are."""
    if type(optimizer).__name__ != "SGD":
        return 1.0
    return max(1 / max(1e-3, 1 - float(group.get("momentum", 0))) for group in optimizer.param_groups)
