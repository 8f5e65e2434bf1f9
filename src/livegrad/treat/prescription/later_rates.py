"""How a program's schedule goes on behind its recorded first steps, as an earlier run of it tells."""

import numpy as np

from livegrad.treat.body import Body
from livegrad.treat.recorded import recorded

RISES = 2.0
"""A rate that rises by less is not what a fault comes from."""


def later_rates(body: Body) -> np.ndarray | None:
    """Return the learning rate (T,) of each step that an earlier run took, straight lines between those that
    it recorded; None without one, or of several optimizers, whose schedules are not told apart.
    """
    known = recorded(body)
    if known is None or len(body.optimizers) != 1:
        return None
    step, rate = known.scalars["step"], known.scalars["learning_rate"]
    usable = np.isfinite(rate) & (rate > 0)
    if usable.sum() < 2:
        return None
    return np.interp(np.arange(int(step[usable][-1]) + 1), step[usable], rate[usable])
