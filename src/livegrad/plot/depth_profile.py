"""`livegrad.plot.depth`: audibility, gradient and activation over the depth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import Source, source_of
from livegrad.view.depth import Depth
from livegrad.view.figures.profile import PANELS, profile

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def depth(
    source: Any,
    show: str | Sequence[str] = ("audibility", "gradient", "activation"),
    *,
    subject: str | int | None = None,
    theme: str = "light",
) -> "Figure":
    """Return audibility, gradient rms and activation rms of every layer, input at the left.

    The solid line is the latest scan, the dotted one the first. Audibility is in units of the output's own (1
    at the output); gradient rms is that of ∂loss/∂activation per entry, activation rms over samples and
    units. Axes are logarithmic: exact zeros stand as triangles at the floor, NaN and infinities as crosses at
    the top, and what was not measured is a gap.

    Args:
        source: a run, its path, or a report (of which only the latest scan is known).
        show: any of "audibility", "gradient", "activation".
        subject: which of several models, by name or id.
        theme: "light" or "dark".

    Raises UsageError where no scan was made, or `show` names something else.
    """
    wanted = (show,) if isinstance(show, str) else tuple(show)
    unknown = [name for name in wanted if name not in PANELS]
    if unknown or not wanted:
        raise UsageError(f"cannot show {unknown or show!r}; choose from {', '.join(map(repr, PANELS))}")
    found = source_of(source, subject)
    return paint(profile(measured_depth(found), found.worst, wanted), theme, found.title)


def measured_depth(source: Source) -> Depth:
    """Return the layers along the depth with their scans. Raises UsageError where there are none."""
    along = (
        Depth.of(source.run, source.number)
        if source.known is not None
        else Depth.of_document(source.document, source.name)
    )
    if not along.scans or not along.layers:
        raise UsageError("no scan of this model was made, so nothing is known along its depth")
    return along
