"""`livegrad.plot.spikes`: the gradient's norm with its robust band."""

from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.figures.spikes import spikes as drawn
from livegrad.view.norm_band import norm_bands

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def spikes(source: Any, *, subject: str | int | None = None, theme: str = "light") -> "Figure":
    """Return the norm of the whole gradient at the recorded steps, and the steps that left its robust band.

    The band is the one by which spikes are found (LG105): around the median of the 32 norms before, six
    robust standard deviations (1.4826 MAD) of their logarithms and at least a factor of three. Norms are
    unscaled and unclipped; the dashed line is the norm over which the script clips. A norm of exactly zero is
    a triangle at the floor, NaN or infinity a cross at the top. Each of several optimizers has a panel.

    Args: source: a run or its path; subject, theme: as for `depth`. Raises UsageError where no step was
    recorded.
    """
    found = source_of(source, subject)
    bands = norm_bands(found.run, found.number)
    if not bands:
        raise UsageError("no step of this model was recorded, so there is no norm to show")
    return paint(drawn(bands), theme, found.title)
