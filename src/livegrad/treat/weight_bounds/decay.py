"""Weight decay on weight matrices alone, in the optimizer's own groups where it has them; and decay so strong
that nothing is learnt against it.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from livegrad.treat.groups import split

USUAL = 1e-5
"""η λ, the share of a weight that decays a step: AdamW's defaults (1e-3 · 0.01) and what SGD is usually given
(0.1 · 1e-4) agree on it.
"""
LARGEST = 0.01
# A decay in the gradient this strong drowns gradients of a tenth of the weights, and Adam divides both by
# their size.
_LARGEST_IN_GRADIENT = 0.1
_THROUGH_ADAM = frozenset({"Adam", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta"})


@dataclass(frozen=True)
class Placed:
    """What was changed of one group. group: its index. old, strength: λ before and after. what: in words."""

    group: int
    old: float
    strength: float
    what: str
    undo: Callable[[], None]


def place(optimizer: Optimizer, matrices: Collection[int], strength: float | None) -> list[Placed]:
    """Have the parameters `matrices` (ids) decay by λ = `strength` and the others not at all.

    strength None: the λ that a group has, else 1e-5/lr. Groups that hold both are split. Returns [] where all
    is so already.
    """
    placed: list[Placed] = []
    for i in range(len(optimizer.param_groups)):
        group = optimizer.param_groups[i]
        if "weight_decay" not in group:
            return []
        old = float(group["weight_decay"])
        decayed = [p for p in group["params"] if id(p) in matrices]
        rest = [p for p in group["params"] if id(p) not in matrices]
        wanted = strength if strength is not None else old or usual(optimizer, i)
        wanted = wanted if decayed else 0.0
        if decayed and rest and (wanted or old):
            n, undo = split(optimizer, i, rest, weight_decay=0.0)
            what = f"{len(rest)} biases, scales and the like in group {n}, without weight decay"
            placed.append(Placed(i, old, 0.0, what, undo))
        if wanted != old:
            group["weight_decay"] = wanted
            what = f"weight decay {old:g} → {wanted:g}"
            placed.append(Placed(i, old, wanted, what, _setter(group, "weight_decay", old)))
    return placed


def decouple(optimizer: Optimizer) -> list[Placed]:
    """Have Adam decay weights beside its step and not through its gradient, as AdamW does."""
    found = []
    for i, group in enumerate(optimizer.param_groups):
        if type(optimizer).__name__ == "Adam" and group.get("decoupled_weight_decay") is False:
            group["decoupled_weight_decay"] = True
            decay = float(group["weight_decay"])
            undo = _setter(group, "decoupled_weight_decay", False)
            found.append(Placed(i, decay, decay, "decays beside the step, as AdamW", undo))
    return found


def beside_step(optimizer: Optimizer, matrices: Collection[int], strength: float) -> None:
    """w ← (1 − η λ) w, for an optimizer that knows no weight decay."""
    for group in optimizer.param_groups:
        kept = 1 - float(group["lr"]) * strength
        mine = [p for p in group["params"] if id(p) in matrices and p.grad is not None]
        with torch.no_grad():
            for p in mine:
                p.mul_(kept)


def too_strong(optimizers: Sequence[Optimizer]) -> tuple[float, float] | None:
    """The λ of a group whose weights decay faster than is learnt, by over 1 % a step or by over a tenth of
    their size in the gradient, and that share; None where none does. What passes through momentum adds up to
    1/(1 − μ) times itself.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            strength, rate = float(group.get("weight_decay") or 0.0), float(group.get("lr") or 0.0)
            beside = bool(group.get("decoupled_weight_decay"))
            share = strength * rate * _amplified(group)
            fast = share > LARGEST and (beside or type(optimizer).__name__ not in _THROUGH_ADAM)
            if fast or (not beside and strength > _LARGEST_IN_GRADIENT):
                return strength, share
    return None


def _amplified(group: dict[str, object]) -> float:
    """(1 − dampening)/(1 − μ), by which momentum multiplies a pull that stays."""
    momentum, dampening = (float(str(group.get(name) or 0.0)) for name in ("momentum", "dampening"))
    return (1 - dampening) / (1 - momentum) if 0 < momentum < 1 else 1.0


def usual(optimizer: Optimizer, group: int) -> float:
    """λ = 1e-5/η."""
    rate = float(optimizer.param_groups[group].get("lr", 0))
    return USUAL / rate if rate > 0 else 0.0


def _setter(group: dict[str, object], name: str, value: object) -> Callable[[], None]:
    def undo() -> None:
        group[name] = value

    return undo


def weights_in(optimizers: Sequence[Optimizer]) -> set[int]:
    """The ids of all parameters that are trained."""
    params: list[Tensor] = [p for o in optimizers for g in o.param_groups for p in g["params"]]
    return {id(p) for p in params}
