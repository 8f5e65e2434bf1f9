"""`livegrad.plot.loss`: the loss over the steps, with the findings marked."""

from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.figures.loss import loss as drawn
from livegrad.view.progress import Progress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def loss(source: Any, *, subject: str | int | None = None, theme: str = "light") -> "Figure":
    """Return the loss of the training steps, with a bar for each finding from its first step to its last.

    In the script's own unit, logarithmic where it falls by more than a factor of thirty. Long runs are
    thinned: the smallest and the largest loss of each stretch stay. A loss that is NaN or infinite is a cross
    at the top.

    Args: source: a run or its path; subject, theme: as for `depth`. Raises UsageError where no loss was seen.
    """
    found = source_of(source, subject)
    progress = Progress.of(found.run, found.number)
    if not progress.has_loss:
        raise UsageError("the loss of this run was not seen, so there is no curve of it")
    return paint(drawn(progress, found.findings), theme, found.title)
