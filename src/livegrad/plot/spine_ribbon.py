"""`livegrad.plot.spine`: the gradient's way through the network."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.figures.spine_flow import spine_flow
from livegrad.view.flow import flow
from livegrad.view.fold import subject_layers

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def spine(source: Any, *, subject: str | int | None = None, theme: str = "light") -> "Figure":
    """Return the gradient's way from the output to the input as a ribbon, a Sankey diagram of one stream.

    Its width is the logarithm of the gradient's norm at each cut over that at the output (of the audibility,
    where no gradient passed), at the report's scan. Ways side by side through a block are arcs: the skip
    above, branches below. Where the gradient is exactly zero the ribbon is a dashed line, where it is NaN or
    infinite it is crossed out at full width. Layers with a finding are hatched and named. More than 44 layers
    are folded: neighbours that behave alike become one.

    Args: source: a run, its path, or a report; subject, theme: as for `depth`.
    Raises UsageError where no scan was made.
    """
    found = source_of(source, subject)
    books = [book for book in found.document.get("ledger") or () if book["subject"] == found.name]
    layers = subject_layers(found.document, found.name)
    drawn = flow(layers, found.worst, books[0] if books else None)
    if drawn is None:
        raise UsageError("no scan of this model was made, so its spine is not known")
    picture = spine_flow(drawn)
    if books:
        picture = replace(picture, caption=f"{picture.caption} Measured at step {books[0]['step']}.")
    return paint(picture, theme, found.title)
