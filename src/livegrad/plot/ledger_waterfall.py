"""`livegrad.plot.ledger`: the ledger as a waterfall in decades."""

from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.source import Source, source_of
from livegrad.view.figures.waterfall import VIEWS, waterfall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plotly.graph_objects import Figure


def ledger(
    source: Any, by: str = "kind", *, subject: str | int | None = None, theme: str = "light"
) -> "Figure":
    """Return what each operation does to the gradient between the output and the deepest layer, as a
    waterfall.

    In decades: the bars' lengths are log10 of what they multiply the gradient's norm by, and add up to the
    whole way. Diamonds stand where each bar would end by theory, for the weights and inputs the operations
    had.

    Args:
        source: a run, its path, or a report.
        by: "kind" of operation, "module", or every "step".
        subject, theme: as for `depth`.

    Raises UsageError where no scan measured a ledger.
    """
    if by not in VIEWS:
        raise UsageError(f"cannot add up by {by!r}; choose from {', '.join(map(repr, VIEWS))}")
    found = source_of(source, subject)
    return paint(waterfall(ledger_of(found), by), theme, found.title)


def ledger_of(source: Source) -> "Mapping[str, Any]":
    """Return the model's ledger in the report. Raises UsageError where there is none."""
    books = [book for book in source.document.get("ledger") or () if book["subject"] == source.name]
    if not books or not books[0]["segments"]:
        raise UsageError("no scan measured what the operations do to the gradient, so there is no ledger")
    return books[0]
