"""A bound on a learning rate that the program raises while it trains."""

from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.recorded import recorded

# A rate that rises by less is not what a fault comes from.
_RISES = 2.0


@dataclass(frozen=True)
class Rise:
    """usual: the median rate of the steps before the fault began. largest: of all steps, from then on too."""

    usual: float
    largest: float


def rise_of(body: Body) -> Rise | None:
    """How the recorded rate rises to where the finding began; None where nothing was recorded before it, or
    the rate does not rise.
    """
    known = recorded(body)
    first = (body.finding or {}).get("first_step")
    if known is None or not first:
        return None
    steps, rates = known.pulses.step, np.asarray(known.scalars["learning_rate"], float)
    before = rates[(steps < first) & np.isfinite(rates) & (rates > 0)]
    if not len(before) or not np.isfinite(rates).any():
        return None
    usual, largest = float(np.median(before)), float(np.nanmax(rates))
    return Rise(float(f"{usual:.2g}"), largest) if largest > _RISES * usual else None


def factors_under(optimizer: Optimizer, most: float) -> list[float]:
    """What each group's rate is to be multiplied by so as not to exceed `most`."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return [min(1.0, most / rate) if rate > 0 else 1.0 for rate in rates]
