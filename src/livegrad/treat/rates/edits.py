"""What `schedule` did, as lines of the program."""

from collections.abc import Sequence

from torch.optim import Optimizer

from livegrad.treat.rates.in_force import RatesInForce
from livegrad.treat.rates.rate import is_scheduled
from livegrad.treat.remedy import Change, Edit


def rate_edit(rates: RatesInForce | None, i: int, made: str | None, changes: Sequence[Change]) -> Edit:
    """The rate as an argument of optimizer i, where it is one number. rates: what the treatment did, if it
    acted.
    """
    rate = None if rates is None else rates.arguments.get(i)
    if rates is not None and i in rates.by_hand:
        factor = rates.factors[i][0]
        return Edit("instruction", made, f"multiply by {factor:g} the learning rate that your loop sets")
    if rate is not None:
        return Edit("argument", made, repr(rate), "lr")
    return Edit("instruction", made, "; ".join(f"{c.where}: {c.what}" for c in changes))


def cap_edit(optimizer: Optimizer, step: str | None, most: float) -> Edit:
    """Two lines above the step."""
    if is_scheduled(optimizer):
        return Edit("instruction", step, f"hold what your schedule sets under {most:g}")
    code = f"for group in {{receiver}}.param_groups:\n    group['lr'] = min(group['lr'], {most!r})"
    return Edit("before", step, code, "step")


def warmup_edits(optimizer: Optimizer, made: str | None, step: str | None, n: int, i: int) -> list[Edit]:
    """A scheduler below the optimizer, and its step below the optimizer's."""
    if is_scheduled(optimizer):
        text = f"multiply what your schedule sets by min(1, (step + 1) / {n})"
        return [Edit("instruction", made, text)]
    name = "warmup" if i == 0 else f"warmup_{i}"
    code = f"{name} = torch.optim.lr_scheduler.LambdaLR({{target}}, lambda step: min(1.0, (step + 1) / {n}))"
    return [
        Edit("after", made, code, type(optimizer).__name__, ("import torch",)),
        Edit("after", step, f"{name}.step()", "step"),
    ]
