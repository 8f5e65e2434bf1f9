"""What an earlier run says of clipping: which limit to take, and how often and how much it would act."""

from math import inf, sqrt

import numpy as np
from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.clipping.limit import recorded_limit, round_number
from livegrad.treat.rates.advice import FIRST_STEP_THAT_FOLLOWS
from livegrad.treat.rates.update_size import sound_gradient_norm
from livegrad.treat.recorded import recorded


def limit_from_history(body: Body, variant: str) -> float | None:
    """The limit for `norm` or `value` that the finding or the recorded steps give; None where they give none,
    and for other variants.
    """
    finding = body.finding or {}
    wanted = (finding.get("evidence") or {}).get("recommended_clip_limit")
    if variant == "norm" and isinstance(wanted, (int, float)) and np.isfinite(wanted):
        return float(f"{wanted:.1e}")
    known = recorded(body)
    if known is None or variant not in ("norm", "value"):
        return None
    rows = known.rows(0 if len(body.optimizers) == 1 else None)
    sizes = (
        known.scalars["gradient_norm"]
        if variant == "norm"
        else np.nanmax(np.nan_to_num(known.pulses.gradient_max, nan=0.0, posinf=inf), axis=1)
    )
    limit = recorded_limit(known.pulses.step[rows], sizes[rows], finding.get("first_step"))
    if limit is None or variant != "norm":
        return limit
    return min([limit, *(sound_norm(optimizer, body) for optimizer in body.optimizers)])


def sound_norm(optimizer: Optimizer, body: Body) -> float:
    """The norm at which a step changes a weight matrix by a tenth, to two digits; infinite under Adam."""
    return round_number(sound_gradient_norm(optimizer, body.model, FIRST_STEP_THAT_FOLLOWS))


def recorded_norms(body: Body) -> dict[str, float]:
    """The median and the largest of the finite gradient norms that were recorded; {} without any."""
    norms = _finite_norms(body)
    if not len(norms):
        return {}
    return {"median_gradient_norm": float(np.median(norms)), "largest_gradient_norm": float(norms.max())}


def under_limit(body: Body, limit: float) -> dict[str, float]:
    """What clipping by norm at this limit would do: the share of the recorded steps that it cuts, and the
    largest step that is left, η c/(1 − β) over the norm of all weights, for SGD with momentum β.
    """
    norms = _finite_norms(body)
    predicted = {"clipped_steps_share": float(np.mean(norms > limit))} if len(norms) else {}
    predicted["largest_gradient_norm"] = limit
    steps = [_step_along(limit, o) for o in body.optimizers if type(o).__name__ == "SGD"]
    if steps:
        predicted["update_over_weights"] = max(steps)
    return predicted


def loudest(body: Body) -> tuple[str, float] | None:
    """The layer with the largest share of the recorded squared gradient norm, and that share."""
    known = recorded(body)
    return next(iter(known.shares().items()), None) if known is not None else None


def _finite_norms(body: Body) -> np.ndarray:
    known = recorded(body)
    norms = np.empty(0) if known is None else known.scalars["gradient_norm"]
    return norms[np.isfinite(norms)]


def _step_along(norm: float, optimizer: Optimizer) -> float:
    groups = optimizer.param_groups
    size = sqrt(sum(float(p.detach().float().square().sum()) for g in groups for p in g["params"]))
    rate = max(float(g["lr"]) / max(1e-3, 1 - float(g.get("momentum", 0))) for g in groups)
    return rate * norm / size if size > 0 else 0.0
