"""Splitting an optimizer's parameter group: its state stays with the parameters, and schedulers go on."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

# Lists of a scheduler that hold one value per group.
_PER_GROUP = (
    "base_lrs", "lr_lambdas", "_last_lr", "min_lrs", "max_lrs", "base_momentums", "max_momentums",
)  # fmt: skip


def split(
    optimizer: Optimizer, group: int, leaving: Sequence[Tensor], **settings: Any
) -> tuple[int, Callable[[], None]]:
    """Move the parameters `leaving` from a group into a new one with the same settings but for `settings`.

    Returns the index of the new group, and what puts everything back. A scheduler counts the groups when it
    is made; each one of this optimizer gets a value for the new group, that of the old one.
    """
    old = optimizer.param_groups[group]
    order = list(old["params"])
    gone = {id(p) for p in leaving}
    old["params"][:] = [p for p in order if id(p) not in gone]
    same = {key: value for key, value in old.items() if key != "params"}
    optimizer.add_param_group({**same, **settings, "params": [p for p in order if id(p) in gone]})
    place = len(optimizer.param_groups) - 1
    new = optimizer.param_groups[place]
    grown = [values for scheduler in schedulers_of(optimizer) for values in _lists(scheduler, place)]
    for values in grown:
        values.append(values[group])

    def undo() -> None:
        now = next((i for i, each in enumerate(optimizer.param_groups) if each is new), None)
        if now is None:
            return
        del optimizer.param_groups[now]
        old["params"][:] = order
        for values in grown:
            if len(values) > now:
                del values[now]

    return place, undo


def schedulers_of(optimizer: Optimizer) -> list[LRScheduler]:
    """The learning-rate schedulers that were made for this optimizer."""
    if not any("initial_lr" in group for group in optimizer.param_groups) and not hasattr(
        optimizer.step, "_wrapped_by_lr_sched"
    ):
        return []
    # isinstance would ask the objects for their class, and some of them answer with a warning.
    found = [each for each in gc.get_objects() if issubclass(type(each), LRScheduler)]
    return [each for each in found if getattr(each, "optimizer", None) is optimizer]


def _lists(scheduler: LRScheduler, groups: int) -> list[list[Any]]:
    held = [vars(scheduler).get(name) for name in _PER_GROUP]
    distinct = {id(values): values for values in held if isinstance(values, list) and len(values) == groups}
    return list(distinct.values())
