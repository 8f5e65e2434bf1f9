"""The figures of a run's page, in the page's theme; what cannot be drawn says why."""

from collections.abc import Callable
from typing import Any

from dash import dcc, html
from plotly.graph_objects import Figure

import livegrad.plot as plot
from livegrad.dashboard.notes import Note
from livegrad.dashboard.parts import aria
from livegrad.errors import LivegradError
from livegrad.run.reader import Run
from livegrad.view.palette import DARK, LIGHT
from livegrad.view.text import shorten

CONFIG: Any = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "sendDataToCloud"],
}


def graph(id: str, words: str) -> Any:
    """The place of a figure, filled when there is something to show."""
    return html.Section(
        [dcc.Loading(dcc.Graph(id=id, config=CONFIG, figure=empty("")), delay_show=400, type="dot")],
        **aria(label=words),
        className="figure",
    )


def empty(words: str, theme: str = "light") -> Figure:
    """A figure of words alone."""
    ink = (DARK if theme == "dark" else LIGHT)["muted"]
    clear = "rgba(0,0,0,0)"
    return Figure(
        layout={
            "height": 120, "paper_bgcolor": clear, "plot_bgcolor": clear,
            "xaxis": {"visible": False}, "yaxis": {"visible": False},
            "annotations": [{"text": words, "showarrow": False, "font": {"color": ink, "size": 13}}],
        }
    )  # fmt: skip


def drawn(draw: Callable[..., Figure], theme: str, key: str, *args: Any, **options: Any) -> Figure:
    """Return the figure; zoom and hidden lines stay as the user left them while `key` is the same."""
    try:
        figure = draw(*args, theme=theme, **options)
    except LivegradError as error:
        return empty(shorten(str(error).replace("<", "‹"), 160), theme)
    figure.update_layout(uirevision=key, width=None, autosize=True)
    return figure


def loss_with_notes(run: Run, subject: str, theme: str, key: str, notes: list[Note]) -> Figure:
    """The loss, with a flag at every step that a note is pinned to."""
    figure = drawn(plot.loss, theme, key, run, subject=subject or None)
    colours = DARK if theme == "dark" else LIGHT
    for note in notes:
        figure.add_vline(x=note.step, line={"color": colours["info"], "dash": "dot", "width": 1.5})
        figure.add_annotation(
            x=note.step, y=1, yref="paper", text="⚑", showarrow=False,
            font={"color": colours["info"], "size": 15}, yanchor="bottom",
            hovertext=shorten(note.text, 120).replace("<", "‹"),
        )  # fmt: skip
    return figure
