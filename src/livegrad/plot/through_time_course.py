"""`livegrad.plot.through_time`: the gradient of recurrent layers, time step by time step."""

from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.figures.through_time import through_time as drawn
from livegrad.view.time_course import time_courses

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def through_time(source: Any, *, subject: str | int | None = None, theme: str = "light") -> "Figure":
    """Return what reaches each time step of the recurrent layers, the earliest at the left.

    Above: rms of ∂loss/∂state per entry of the state. Below: audibility of the step over that of the loudest
    of the latest tenth; under the dotted line, three decades down, a step is not heard at the output.
    Logarithmic axes; the latest scan is bold, the first thin. Exact zeros and non-finite steps are marks at
    the edges.

    Args: source: a run or its path; subject, theme: as for `depth`.
    Raises UsageError where the model has no recurrence of at least three steps, or no scan was made.
    """
    found = source_of(source, subject)
    courses = time_courses(found.run, found.number)
    if not courses:
        raise UsageError(
            "no recurrence was seen in this model's scans, so there is nothing over time to show"
        )
    return paint(drawn(courses), theme, found.title)
