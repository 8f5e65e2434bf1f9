"""From a drawing to a plotly figure: colours of a theme, a title, and a legend that needs no page around
it.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import FONT, label
from livegrad.view.palette import DARK, LIGHT, painted

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

THEMES: dict[str, dict[str, str]] = {"light": LIGHT, "dark": DARK}
_LINE, _TITLE_LINE, _WIDTH = 19, 30, 900
# Letters of the caption's size in a figure of 900 pixels; wider ones wrap where narrow ones must.
_LETTERS, _TITLE_LETTERS = 122, 78


def paint(drawing: Drawing, theme: str = "light", of: str = "") -> "Figure":
    """Return the drawing as a figure of 900 pixels' width that stands alone.

    of: whose numbers these are ("train.py"), shown beside the title. Raises UsageError for an unknown theme.
    """
    from plotly.graph_objects import Figure

    palette = palette_of(theme)
    plot = painted(drawing.plot, palette)
    data = [*plot["data"], *_key(drawing.key, palette)]
    layout = plot["layout"]
    heading, titles, lines = _heading(drawing, palette, of)
    top = 18 + _TITLE_LINE * titles + _LINE * lines
    height = drawing.height + top + 24
    margin = layout.get("margin", {})
    spare = int(margin.get("t", 0))
    legend = layout.get("legend", {}) | {"bgcolor": "rgba(0,0,0,0)"}
    return Figure(
        data=data,
        layout=layout
        | {
            # The drawing says all itself; a user's default template must not change half of it.
            "template": "none",
            "width": _WIDTH,
            "height": height,
            "title": {
                "text": heading,
                "x": 24 / _WIDTH,
                "xref": "container",
                "xanchor": "left",
                "y": 1 - 18 / height,
                "yref": "container",
                "yanchor": "top",
                "font": {"size": 18, "color": palette["ink"], "family": FONT},
            },
            "margin": margin | {"t": top + spare, "l": max(24, margin.get("l", 0)), "r": 24, "b": 24},
            "paper_bgcolor": palette["paper"],
            "plot_bgcolor": palette["paper"],
            "legend": legend,
        },
    )


def palette_of(theme: str) -> Mapping[str, str]:
    """Return the colours of a theme by name; raises UsageError for one that there is not."""
    if theme not in THEMES:
        raise UsageError(f"unknown theme {theme!r}; choose from {', '.join(map(repr, THEMES))}")
    return THEMES[theme]


def _heading(drawing: Drawing, palette: Mapping[str, str], of: str) -> tuple[str, int, int]:
    lines = textwrap.wrap(drawing.caption, _LETTERS)
    whose = (
        f" <span style='color: {palette['muted']}; font-size: 13px'>· {label(of, 48)}</span>" if of else ""
    )
    small = f"<span style='font-size: 12.5px; color: {palette['muted']}'>"
    # What is not bold is a third narrower.
    titles = textwrap.wrap(drawing.title, _TITLE_LETTERS - (len(label(of, 48)) * 2 // 3 + 3 if of else 0))
    text = "<br>".join(f"<b>{line}</b>" for line in titles) + whose
    return text + "".join(f"<br>{small}{line}</span>" for line in lines), len(titles), len(lines)


def _key(key: Sequence[tuple[str, str]], palette: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return empty traces whose only purpose is their line in the legend."""
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "name": words,
            "showlegend": True,
            "hoverinfo": "skip",
            "marker": {
                "symbol": "square",
                "size": 11,
                "color": palette[colour],
                "line": {"width": 1, "color": palette["line"]},
            },
        }
        for colour, words in key
    ]
