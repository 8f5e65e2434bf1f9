"""Adam's eps, set far under √v̂: its step is √v̂/(√v̂ + eps) of what it would be without it."""

from collections.abc import Mapping
from math import floor, isfinite, log10

import numpy as np
from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.gradients import parameters_with_gradient
from livegrad.treat.recorded import recorded
from livegrad.treat.remedy import Change

_UNDER_ROOT = 1e-3
# The square of less than this is zero in float32: √v̂ is zero, and eps is all that is divided by.
_SMALLEST = 1e-22


def with_eps(body: Body) -> list[Optimizer]:
    """Optimizers with √v̂ + eps in their denominator."""
    return [o for o in body.optimizers if all("eps" in g and "betas" in g for g in o.param_groups)]


def recorded_roots(body: Body) -> dict[str, float]:
    """Name of a weight matrix -> rms of its gradient, the median of the recorded steps: the size of √v̂."""
    known = recorded(body)
    if known is None:
        return {}
    found = {}
    for name, values in known.by_tensor("gradient_rms").items():
        values = values[np.isfinite(values) & (values > 0)]
        if len(values):
            found[name] = float(np.median(values))
    return found


def present_roots(optimizer: Optimizer) -> dict[str, float]:
    """Place of a weight matrix among those with a gradient -> rms of the gradient that is there now."""
    return {
        str(i): float(p.grad.float().square().mean().sqrt())
        for i, p in enumerate(parameters_with_gradient(optimizer))
        if p.dim() > 1 and p.grad is not None and not p.grad.is_sparse
    }


def eps_under(roots: Mapping[str, float]) -> float | None:
    """A power of ten a thousand times under the smallest √v̂ that float32 can square; None without any."""
    sizes = [root for root in roots.values() if isfinite(root) and root > _SMALLEST]
    if not sizes:
        return None
    return float(f"1e{floor(log10(max(_SMALLEST, _UNDER_ROOT * min(sizes))) + 1e-9)}")


def predicted_share(body: Body, new: float | None) -> tuple[dict[str, float], dict[str, float]]:
    """The smallest step as a share of what it would be without eps, before and with the eps `new`; {} where
    no gradient was recorded.
    """
    roots = recorded_roots(body)
    if not roots or new is None:
        return {}, {}
    old = max((float(g["eps"]) for o in with_eps(body) for g in o.param_groups), default=0.0)
    root = min(roots.values())
    return {"step_share": root / (root + old)}, {"step_share": root / (root + new)}


def lies_under_eps(body: Body) -> bool:
    """Whether half of each step or more was lost to eps in the recorded run: √v̂ ≤ eps."""
    before, _ = predicted_share(body, 0.0)
    return before.get("step_share", 1.0) <= 1 / 2


def set_eps(body: Body, optimizer: Optimizer, eps: float) -> Change:
    """Set the eps of each of an optimizer's groups."""
    old = [group["eps"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["eps"] = eps

    def undo() -> None:
        for group, value in zip(optimizer.param_groups, old, strict=False):
            group["eps"] = value

    i = next(i for i, known in enumerate(body.optimizers) if known is optimizer)
    return Change(f"optimizer {i}", f"eps {old[0]:g} → {eps:g}", undo, body.sources.get(f"optimizer:{i}"))
