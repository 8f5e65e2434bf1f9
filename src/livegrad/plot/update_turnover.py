"""`livegrad.plot.turnover`: in how many steps the updates renew the weights."""

from typing import TYPE_CHECKING, Any

import numpy as np

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.figures.turnover import turnover as drawn
from livegrad.view.turnovers import Turnovers

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def turnover(source: Any, *, subject: str | int | None = None, theme: str = "light") -> "Figure":
    """Return the turnover τ = ‖W‖/‖ΔW‖ of every weight matrix, in steps, from the updates really applied.

    Median and range over the steps at which updates were sampled, on a logarithmic axis, the input at the
    left. Over the dashed line, the run's length, a layer does not renew its weights while the run lasts.
    Where the median update was exactly zero a cross stands at the top.

    Args: source: a run or its path; subject, theme: as for `depth`.
    Raises UsageError where no update was sampled.
    """
    found = source_of(source, subject)
    known = Turnovers.of(found.run, found.number)
    if not len(known.middle) or np.isnan(known.middle).all():
        raise UsageError("no applied update was sampled in this run, so no turnover is known")
    return paint(drawn(known, found.worst), theme, found.title)
