"""The learning rates that a treatment has set, for each optimizer of a body, and how long they hold.

A rate is set for good where the program leaves it alone. Where a scheduler sets it, or the program's own
loop, it is multiplied for the time of each step instead, so that what they read and set stays theirs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.rates.rate import Held, SetRates, is_scheduled, multiply, scaled
from livegrad.treat.remedy import Change


@dataclass
class RatesInForce:
    """What was done to the rates. Optimizers are numbered as in the body, groups as in the optimizer.

    factors: of the optimizers whose rates are multiplied at each step, one for each group. arguments: the
    rate that the program would pass when it makes the optimizer, where it is one number. by_hand: optimizers
    whose rate the program's loop sets.
    """

    held: list[Held]
    factors: dict[int, list[float]] = field(default_factory=dict)
    arguments: dict[int, float] = field(default_factory=dict)
    by_hand: set[int] = field(default_factory=set)
    undoing: list[Callable[[], None]] = field(default_factory=list)
    _for_good: dict[int, SetRates] = field(default_factory=dict)

    def multiply(self, body: Body, i: int, factors: Sequence[float]) -> list[Change]:
        """Multiply the rates of optimizer i, for good or at each step; a change for each group."""
        if all(factor == 1 for factor in factors):
            return []
        optimizer = body.optimizers[i]
        scheduled = is_scheduled(optimizer)
        olds = [group["lr"] for group in optimizer.param_groups]
        news = [float(scaled(old, factor)) for old, factor in zip(olds, factors, strict=False)]
        if scheduled:
            self.factors[i] = list(factors)
            undo = partial(self._leave, i)
        else:
            undo = multiply(optimizer, factors)
            self._for_good[i] = SetRates(news, list(factors))
        if len(set(news)) == 1 and all(factor != 1 for factor in factors):
            # What a scheduler has made of a rate is not the program's argument.
            first = optimizer.param_groups[0].get("initial_lr", olds[0])
            self.arguments[i] = float(scaled(first, factors[0])) if scheduled else news[0]
        also = " at every step of its schedule" if scheduled else ""
        return [
            Change(
                f"optimizer {i}" + (f", group {g}" if len(olds) > 1 else ""),
                f"learning rate {float(old):g} → {float(scaled(old, factor)):g}{also}",
                undo,
                body.sources.get(f"optimizer:{i}"),
            )
            for g, (old, factor) in enumerate(zip(olds, factors, strict=False))
            if factor != 1
        ]

    def _leave(self, i: int) -> None:
        self.factors.pop(i, None)

    def set_to(self, body: Body, i: int, rate: float) -> Change:
        """Set the rate of each group of optimizer i, whatever it was."""
        kept = [(group, group["lr"]) for group in body.optimizers[i].param_groups]

        def undo() -> None:
            for group, old in kept:
                group["lr"] = old

        for group, _ in kept:
            group["lr"] = rate
        self.arguments[i] = rate
        what = f"learning rate {float(kept[0][1]):g} → {rate:g}"
        return Change(f"optimizer {i}", what, undo, body.sources.get(f"optimizer:{i}"))

    def notice_by_hand(self, i: int, optimizer: Optimizer) -> None:
        """Where the program sets the rate anew in its loop, have it multiplied at each step from now on."""
        known = self._for_good.get(i)
        if known is not None and known.are_overwritten(optimizer):
            self.factors[i] = self._for_good.pop(i).factors
            self.by_hand.add(i)
            self.arguments.pop(i, None)

    def undo_all(self) -> None:
        """Undo what was done at steps, the last first."""
        for undo in reversed(self.undoing):
            undo()
