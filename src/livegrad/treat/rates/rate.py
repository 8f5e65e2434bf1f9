"""An optimizer's learning rate, multiplied: for good, or at each step on top of what a schedule sets."""

from collections.abc import Callable, Sequence
from math import log
from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def is_scheduled(optimizer: Optimizer) -> bool:
    """Whether a learning-rate scheduler sets the rate of its groups."""
    made = hasattr(optimizer.step, "_wrapped_by_lr_sched")
    return made or any("initial_lr" in group for group in optimizer.param_groups)


def multiply(optimizer: Optimizer, factors: Sequence[float]) -> Callable[[], None]:
    """Multiply the rate of each group by its factor, to three digits; returns what puts the rates back."""
    old = [group["lr"] for group in optimizer.param_groups]
    for group, factor in zip(optimizer.param_groups, factors, strict=False):
        if factor != 1:
            group["lr"] = scaled(group["lr"], factor)

    def undo() -> None:
        for group, rate in zip(optimizer.param_groups, old, strict=False):
            group["lr"] = rate

    return undo


def scaled(rate: Any, factor: float) -> Any:
    """The rate times the factor, to three digits; of a tensor a new one."""
    if isinstance(rate, Tensor):
        return rate * factor
    return float(f"{float(rate) * factor:.3g}")


class SetRates:
    """Rates that were set for good. factors: what each group's was multiplied by."""

    def __init__(self, rates: Sequence[float], factors: Sequence[float]) -> None:
        self.factors = list(factors)
        self._rates = list(rates)

    def are_overwritten(self, optimizer: Optimizer) -> bool:
        """Say whether the program has set another rate since, without regard to what it found there; one that
        it made from what it found is the new one to look for.
        """
        for i, (group, factor) in enumerate(zip(optimizer.param_groups, self.factors, strict=False)):
            now, ours = float(group["lr"]), self._rates[i]
            if factor == 1 or now == ours or now <= 0 or ours <= 0:
                continue
            if abs(log(now / ours)) >= abs(log(now / (ours / factor))):
                return True
            self._rates[i] = now
        return False


class Held:
    """Rates of one optimizer that are multiplied from just before a step until just behind it, so that what a
    scheduler reads and sets is its own.
    """

    def __init__(self) -> None:
        self._old: list[tuple[dict[str, Any], Any, Any]] = []

    def before(self, optimizer: Optimizer, factors: Sequence[float]) -> None:
        """Multiply the rates for this step."""
        for group, factor in zip(optimizer.param_groups, factors, strict=False):
            if factor != 1:
                old = group["lr"]
                group["lr"] = old * factor
                self._old.append((group, old, group["lr"]))

    def after(self) -> None:
        """Put back what stood there, unless the program has set another rate in between."""
        for group, old, new in reversed(self._old):
            if group["lr"] is new:
                group["lr"] = old
        self._old.clear()
