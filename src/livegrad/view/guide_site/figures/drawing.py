"""What the guide's figures are made of: lines told apart by colour and dash, and sliders over variants."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import axis, layout, numbers, title
from livegrad.view.palette import token

Trace = dict[str, Any]
COLOURS = ("series", "second", "ink", "third", "fourth", "muted", "loud")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "5px,2px")


def drawing(title: str, caption: str, data: list[Trace], layout: dict[str, Any]) -> Drawing:
    """Return a figure: title and caption in the guide's own words, data and layout as plotly.js takes them,
    colours as tokens of the palette.
    """
    return Drawing(title, caption, {"data": data, "layout": layout})


def line(x: Iterable[float], y: Iterable[float], name: str, number: int = 0, **more: Any) -> Trace:
    """Return one line; `number` picks its colour and its dash, which differ from every other number's."""
    style = {
        "color": token(COLOURS[number % len(COLOURS)]), "dash": DASHES[number % len(DASHES)],
        "width": 2.5,
    }  # fmt: skip
    x, y = numbers(np.asarray(list(x)), 4), numbers(np.asarray(list(y)), 5)
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": style} | more


def band(x: Iterable[float], low: Iterable[float], high: Iterable[float], name: str) -> Trace:
    """Return a filled band between `low` and `high`."""
    x, low = list(x), list(low)
    around, edge = [*x, *reversed(x)], [*high, *reversed(low)]
    return {
        "type": "scatter", "x": numbers(np.array(around), 4), "y": numbers(np.array(edge), 5),
        "fill": "toself", "fillcolor": token("band"), "line": {"width": 0}, "mode": "lines", "name": name,
        "hoverinfo": "skip",
    }  # fmt: skip


def frame(x: str, y: str, **more: Any) -> dict[str, Any]:
    """Return the layout of a figure with one pair of axes, named `x` and `y`."""
    given = dict(more)
    over_x, over_y = given.pop("xaxis", {}), given.pop("yaxis", {})
    return layout(
        380,
        xaxis=axis(title=title(x), **over_x),
        yaxis=axis(title=title(y), **over_y),
        margin={"l": 8, "r": 12, "t": 12, "b": 56, "autoexpand": True},
        **given,
    )


def turned(
    variants: Sequence[tuple[str, Sequence[Trace]]], quantity: str, start: int
) -> tuple[list[Trace], dict[str, Any]]:
    """Return the traces of all variants, number `start` shown, and the slider that turns to others."""
    data: list[Trace] = []
    owners: list[int] = []
    for number, (_, traces) in enumerate(variants):
        data += [trace | {"visible": number == start} for trace in traces]
        owners += [number] * len(traces)
    steps = [
        {"method": "restyle", "label": name, "args": [{"visible": [owner == number for owner in owners]}]}
        for number, (name, _) in enumerate(variants)
    ]
    slider = {
        "active": start, "steps": steps, "pad": {"t": 48, "b": 8}, "len": 0.92, "x": 0.04,
        "currentvalue": {"prefix": f"{quantity} = ", "font": {"color": token("ink"), "size": 13}},
        "font": {"color": token("muted"), "size": 11}, "bgcolor": token("unknown"),
        "activebgcolor": token("series"), "bordercolor": token("line"), "tickcolor": token("faint"),
    }  # fmt: skip
    return data, {"sliders": [slider], "height": 480}


def shade(low: float, high: float, name: str, across: str = "x") -> dict[str, Any]:
    """Return a shaded stretch of an axis with its name on it."""
    other = "y" if across == "x" else "x"
    return {
        "type": "rect", f"{across}0": low, f"{across}1": high, f"{other}0": 0, f"{other}1": 1,
        f"{other}ref": "paper", "fillcolor": token("sick"), "line": {"width": 0}, "layer": "below",
        "label": {"text": name, "font": {"color": token("muted"), "size": 11}, "textposition": "top center"},
    }  # fmt: skip


def rule(at: float, name: str, along: str = "y", where: str = "start") -> dict[str, Any]:
    """Return a thin line across the figure at one value of an axis, with its name at its "start" or "end"."""
    other = "x" if along == "y" else "y"
    return {
        "type": "line", f"{along}0": at, f"{along}1": at, f"{other}0": 0, f"{other}1": 1,
        f"{other}ref": "paper", "line": {"color": token("faint"), "width": 1, "dash": "dot"},
        "label": {"text": name, "font": {"color": token("muted"), "size": 11}, "textposition": where},
    }  # fmt: skip
