"""By how much the learning rate of each parameter group is to change, from what is known of its steps.

A first step is to change no weight matrix by more than 0.03 where the optimizer divides by the gradient's
size (that is what Adam's own rate of 1e-3 does to default weights of 300 inputs, 1e-3 √(3 · 300)), and by no
more than a tenth where it follows the gradient, which shrinks as the loss does (a third of what the finding
LG402 calls too large): factor = target · ‖W‖/‖ΔW‖. Where the finding says that steps are too large it is a
tenth at most, because a rate over 2/λ diverges at any size of step. How much over, the growth tells: with
|1 − ηλ| = ρ per step the rate at which the step lands in the minimum is η/(1 + ρ). Where steps are too small
the *usual* one is brought to a thousandth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.optim import Optimizer

from livegrad.diagnose.optimizer_kind import SCALE_FREE
from livegrad.treat.body import Body
from livegrad.treat.clipping.limit import round_number
from livegrad.treat.rates.update_size import (
    closed_form_sizes,
    largest_by_group,
    recorded_sizes,
    recorded_steps,
)
from livegrad.treat.recorded import Recorded, recorded

TOO_LARGE = ("LG105", "LG106", "LG201", "LG202", "LG301", "LG303", "LG402")
TOO_SMALL = ("LG403", "LG503")
FIRST_STEP = 0.03
FIRST_STEP_THAT_FOLLOWS = 0.1
USUAL_STEP = 1e-3
SMALLEST_FACTOR = 1e-6
"""With a rate that is lower still by closed form, it is not the rate that is to blame."""
STANDING_STILL = 1e-5
"""A usual step under this is no step; as in the finding LG503."""
LOWER = 0.1
# A group whose rate is behind by less is not starved by it.
_MUCH = 3.0
# A group's steps are at fault if they are within this of the largest.
_ALIKE = 0.1


@dataclass(frozen=True)
class Advice:
    """factors: for each optimizer, for each of its groups; None where the first step has to be measured.
    before, after: the largest ‖ΔW‖/‖W‖ of a first step, None where unknown. why: in words.
    """

    factors: tuple[tuple[float, ...], ...] | None
    why: str
    before: float | None = None
    after: float | None = None


def advise(body: Body) -> Advice:
    """What the finding, the history and closed form say; factors are None where only measuring tells."""
    finding = body.finding or {}
    code = finding.get("code")
    known = recorded(body)
    if code == "LG401" and behind_by_rate(body):
        return _as_the_others(body, finding)
    if code in TOO_SMALL or "swallowed_share" in (finding.get("evidence") or {}):
        return _faster(body, finding)
    if code == "LG401":
        return _as_the_others(body, finding)
    sizes = [
        (recorded_sizes(known, body.model) if known is not None else {}) or closed_form_sizes(o, body.model)
        for o in body.optimizers
    ]
    growth = _growth(known) if known is not None else 1.0
    if not any(sizes):
        if code in TOO_LARGE and known is not None:
            factor = round_number(min(LOWER, 1 / (1 + growth)), 1)
            return Advice(_all(body, factor), "a tenth is the first thing to try")
        return Advice(None, "the first step is measured")
    groups = [largest_by_group(o, body.model, size) for o, size in zip(body.optimizers, sizes, strict=True)]
    return from_sizes(groups, [target_of(o) for o in body.optimizers], code in TOO_LARGE, growth)


def target_of(optimizer: Optimizer) -> float:
    """The largest ‖ΔW‖/‖W‖ that a first step of this optimizer may have."""
    return FIRST_STEP if type(optimizer).__name__ in SCALE_FREE else FIRST_STEP_THAT_FOLLOWS


def from_sizes(
    groups: Sequence[Sequence[float | None]],
    targets: Sequence[float],
    too_large: bool,
    growth: float = 1.0,
) -> Advice:
    """The factors for groups whose largest first ‖ΔW‖/‖W‖ are known (None: left as it is)."""
    most = max((size for sizes in groups for size in sizes if size is not None), default=0.0)
    bound = min(LOWER, 1 / (1 + growth)) if too_large else 1.0

    def factor(size: float | None, target: float) -> float:
        # Weights of which nothing is known, such as biases, go with the rest.
        if size is not None and size < _ALIKE * most:
            return 1.0
        return round_number(min(bound, target / most if most > 0 else 1.0), 1)

    factors = tuple(
        tuple(factor(size, target) for size in sizes) for sizes, target in zip(groups, targets, strict=True)
    )
    after = max(
        (
            s * f
            for sizes, fs in zip(groups, factors, strict=True)
            for s, f in zip(sizes, fs, strict=True)
            if s
        ),
        default=0.0,
    )
    text = f"the first steps changed the weights by {most:.2g} of themselves"
    return Advice(factors, text, most, after)


def _growth(known: Recorded) -> float:
    """ρ: by what factor the gradient grew from one recorded step to the next, over the first three."""
    norms, steps = known.scalars["gradient_norm"], known.pulses.step
    sound = np.isfinite(norms) & (norms > 0)
    last = min(4, int(np.argmin(sound)) if not sound.all() else len(norms))
    if last < 2 or steps[last - 1] == steps[0]:
        return 1.0
    return float((norms[last - 1] / norms[0]) ** (1 / (steps[last - 1] - steps[0])))


def usual_size(body: Body) -> float | None:
    """‖ΔW‖/‖W‖ of a usual step as the optimizer means it, before rounding: what the finding says of it, else
    lr √n/‖W‖ under Adam and its kin and lr ‖g‖/((1 − β) ‖W‖) under SGD, the median matrix; None where that is
    not known.
    """
    evidence = (body.finding or {}).get("evidence") or {}
    said = evidence.get("usual_update_over_weights")
    if said:
        return float(said)
    known = recorded(body)
    sizes = [size for o in body.optimizers for size in closed_form_sizes(o, body.model).values()]
    if not sizes and known is not None:
        sizes = [s for o in body.optimizers for s in recorded_steps(known, o, body.model).values()]
    if sizes:
        return float(np.median(sizes))
    turnover = evidence.get("turnover_steps")
    return 1 / turnover if isinstance(turnover, (int, float)) and 0 < turnover < np.inf else None


def _faster(body: Body, finding: Mapping[str, Any]) -> Advice:
    turnover = (finding.get("evidence") or {}).get("turnover_steps")
    # What is clipped at every step is shorter than the optimizer means it.
    clipped = finding.get("code") == "LG403"
    usual = 1 / turnover if clipped and turnover else usual_size(body)
    if not usual:
        return Advice(_all(body, 1.0), "nothing is known of the size of the steps")
    factor = round_number(max(1.0, USUAL_STEP / usual), 1)
    return Advice(_all(body, factor), f"a usual step changes {usual:.1g} of a weight", usual, usual * factor)


def behind_by_rate(body: Body) -> bool:
    """Whether the layers of the finding have a parameter group of a lower rate than the others'."""
    finding = body.finding or {}
    factors = _as_the_others(body, finding).factors or ()
    return any(factor > _MUCH for fs in factors for factor in fs)


def _as_the_others(body: Body, finding: Mapping[str, Any]) -> Advice:
    """The groups of the layers that are behind, at the pace of the others, where a group's rate is why."""
    evidence = finding.get("evidence") or {}
    own = evidence.get("update_ratio")
    behind = tuple(finding.get("layers") or ())
    mine = {
        id(p)
        for name, p in body.model.named_parameters()
        if name in behind or name.rpartition(".")[0] in behind
    }
    if not mine:
        return Advice(_all(body, 1.0), "the steps are not lost by the learning rate")
    factors = []
    for optimizer in body.optimizers:
        rates = [float(g["lr"]) for g in optimizer.param_groups]
        held = [[p for p in g["params"] if p.dim() > 1] for g in optimizer.param_groups]
        slow = [bool(ps) and all(id(p) in mine for p in ps) for ps in held]
        usual = max((r for r, s, ps in zip(rates, slow, held, strict=True) if not s and ps), default=0.0)
        factors.append(tuple(
            round_number(usual / rate, 3) if s and 0 < rate < usual else 1.0
            for rate, s in zip(rates, slow, strict=True)
        ))  # fmt: skip
    said = "their group gets the learning rate of the others"
    if all(f == 1.0 for fs in factors for f in fs):
        said = "their learning rate is that of the others: it is the gradient that is small"
    if own is None:
        return Advice(tuple(factors), said)
    return Advice(tuple(factors), said, float(own), float(own) * max(f for fs in factors for f in fs))


def _all(body: Body, factor: float) -> tuple[tuple[float, ...], ...]:
    return tuple((factor,) * len(optimizer.param_groups) for optimizer in body.optimizers)
