"""Activations side by side: each with its slope, where it saturates, and the arguments it is given."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from livegrad.diagnose.number import percent, short
from livegrad.theory.activation import backward_factor, gain, named
from livegrad.theory.saturation import flat_regions
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import Figure, axis, label, layout, numbers, title
from livegrad.view.palette import token
from livegrad.view.preactivations import Preactivations

_ACROSS, _WIDE, _POINTS = 3, 6.0, 481
_TALL, _LOW, _GAP_ROWS, _ROW_GAP, _AROUND = 230, 130, 26, 120, 96
_GAP = 0.055
# Their shape is an argument of theirs, which neither a run nor a call by name tells.
_SHAPED = frozenset({"LeakyReLU", "ELU", "CELU", "Softplus", "Hardtanh", "Softshrink"})


def activation_curves(shown: Sequence[Preactivations]) -> Drawing:
    """Return the figure: up to three panels a row, each over one of the arguments' density."""
    caption = (
        "Above: φ (solid) and its slope φ' (dashed), which is what it passes back of the gradient. Shaded: "
        "where φ' is under a twentieth of its largest, so that next to nothing passes. Below: how often the "
        "activation is given each argument."
    )
    return Drawing("Activations, their slopes and their arguments", caption, _plot(shown))


def _plot(shown: Sequence[Preactivations]) -> Figure:
    across = min(len(shown), _ACROSS)
    rows = math.ceil(len(shown) / across)
    block = _TALL + _GAP_ROWS + _LOW
    pixels = rows * block + (rows - 1) * _ROW_GAP
    width = (1 - _GAP * (across - 1)) / across
    data: list[Figure] = []
    axes: Figure = {}
    shapes: list[Figure] = []
    notes: list[Figure] = []
    for i, item in enumerate(shown):
        row, column = divmod(i, across)
        left = column * (width + _GAP)
        top = pixels - row * (block + _ROW_GAP)
        upper, lower = 2 * i + 1, 2 * i + 2
        reach = _reach(item)
        spans = (
            [(top - _TALL) / pixels, top / pixels],
            [(top - block) / pixels, (top - block + _LOW) / pixels],
        )
        limits = _limits(item.activation, reach)
        axes |= _axes(upper, lower, left, width, spans, reach, limits, last=True)
        data += _curves(item, reach, upper, legend=i == 0) + _arguments(item, reach, lower, legend=i == 0)
        shapes += _shaded(item.activation, reach, upper, lower)
        notes += _notes(item, left, width, top / pixels)
    return {
        "data": data,
        "layout": layout(pixels + _AROUND + 24, shapes=shapes, annotations=notes, **axes)
        | {"margin": {"l": 8, "r": 12, "t": 84, "b": 8, "autoexpand": True}},
    }


def _suffix(number: int) -> str:
    return "" if number == 1 else str(number)


def _reach(item: Preactivations) -> tuple[float, float]:
    """The arguments that are drawn: the classical picture's, and whatever is given often."""
    spread = item.spread if math.isfinite(item.spread) else 1.0
    mean = item.mean if math.isfinite(item.mean) else 0.0
    low, high = mean - 3.5 * spread, mean + 3.5 * spread
    return max(min(-_WIDE, low), -40.0), min(max(_WIDE, high), 40.0)


def _limits(name: str, reach: tuple[float, float]) -> tuple[float, float]:
    x = np.linspace(*reach, _POINTS)
    phi = named(name)
    values = np.concatenate([np.clip(phi.function(x), -2.5, 2.5), phi.slope(x)])
    low, high = float(values.min()), float(values.max())
    return low - 0.08 * (high - low), high + 0.08 * (high - low)


def _axes(
    upper: int,
    lower: int,
    left: float,
    width: float,
    spans: tuple[list[float], list[float]],
    reach: tuple[float, float],
    limits: tuple[float, float],
    last: bool,
) -> Figure:
    across = {"domain": [left, left + width], "range": list(reach)}
    first = left == 0
    return {
        f"xaxis{_suffix(upper)}": axis(
            anchor=f"y{_suffix(upper)}", showticklabels=False, matches=f"x{lower}", **across
        ),
        f"yaxis{_suffix(upper)}": axis(
            anchor=f"x{_suffix(upper)}",
            domain=spans[0],
            range=list(limits),
            zeroline=True,
            zerolinecolor=token("line"),
            **({"title": title("φ and φ'")} if first else {}),
        ),
        f"xaxis{lower}": axis(anchor=f"y{lower}", title=title("argument x"), **across),
        f"yaxis{lower}": axis(
            anchor=f"x{lower}",
            domain=spans[1],
            rangemode="tozero",
            showgrid=False,
            nticks=3,
            **({"title": title("share per unit")} if first else {}),
        ),
    }


def _curves(item: Preactivations, reach: tuple[float, float], number: int, legend: bool) -> list[Figure]:
    phi = named(item.activation)
    x = np.linspace(*reach, _POINTS)
    at = {"xaxis": f"x{_suffix(number)}", "yaxis": f"y{_suffix(number)}", "x": numbers(x, 3), "mode": "lines"}
    return [
        {
            "type": "scatter",
            "name": "φ",
            "legendgroup": "phi",
            "showlegend": legend,
            "y": numbers(phi.function(x), 4),
            "line": {"color": token("series"), "width": 2.4},
            "hovertemplate": "φ(%{x}) = %{y}<extra></extra>",
            **at,
        },
        {
            "type": "scatter",
            "name": "φ' (slope)",
            "legendgroup": "slope",
            "showlegend": legend,
            "y": numbers(phi.slope(x), 4),
            "line": {"color": token("second"), "width": 2.4, "dash": "dash"},
            "hovertemplate": "φ'(%{x}) = %{y}<extra></extra>",
            **at,
        },
    ]


def _arguments(item: Preactivations, reach: tuple[float, float], number: int, legend: bool) -> list[Figure]:
    at = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    look = {"name": "arguments", "legendgroup": "arguments", "showlegend": legend}
    if item.density is not None and item.edges is not None:
        middle = (item.edges[:-1] + item.edges[1:]) / 2
        return [
            {
                "type": "bar",
                "x": numbers(middle, 4),
                "y": numbers(item.density, 5),
                "width": numbers(np.diff(item.edges), 5),
                "marker": {"color": token("third"), "line": {"width": 0}},
                "hovertemplate": "x = %{x}<br>%{y} per unit<extra></extra>",
                **look,
                **at,
            }
        ]
    x = np.linspace(*reach, _POINTS)
    density = item.normal(x)
    if not density.any():
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "fill": "tozeroy",
            "x": numbers(x, 3),
            "y": numbers(density, 5),
            "line": {"color": token("third"), "width": 1.6, "dash": "dot"},
            "fillcolor": token("shade"),
            "hovertemplate": "x = %{x}<br>%{y} per unit<extra></extra>",
            **look,
            "name": "arguments, normal by assumption",
            **at,
        }
    ]


def _shaded(name: str, reach: tuple[float, float], upper: int, lower: int) -> list[Figure]:
    return [
        {
            "type": "rect",
            "xref": f"x{_suffix(number)}",
            "yref": f"y{_suffix(number)} domain",
            "y0": 0,
            "y1": 1,
            "x0": max(low, reach[0]),
            "x1": min(high, reach[1]),
            "fillcolor": token("sick"),
            "line": {"width": 0},
            "layer": "below",
        }
        for low, high in flat_regions(name)
        for number in (upper, lower)
        if low < reach[1] and high > reach[0]
    ]


def _notes(item: Preactivations, left: float, width: float, top: float) -> list[Figure]:
    flat = "" if math.isnan(item.flat) else f"{percent(item.flat)} in the shaded part"
    lost = f"{percent(item.nonfinite)} NaN or infinite" if item.nonfinite > 0 else ""
    where = "" if not item.layers else label(item.layers[0], 22)
    if len(item.layers) > 1:
        where += f" … ({len(item.layers)} layers)"
    told = ", ".join(filter(None, (where, flat, lost)))
    if item.layers and item.activation in _SHAPED:
        told += ", all at torch's default shape"
    g, back = short(gain(item.activation), 3), short(backward_factor(item.activation), 3)
    lines = (f"gain {g}, passes back {back}", f"arguments: {item.origin}", told)
    wrapped = "<br>".join(
        "<br>".join(textwrap.wrap(line, int(124 * width), break_long_words=False)) for line in lines if line
    )
    at = {"xref": "paper", "yref": "paper", "x": left, "xanchor": "left", "showarrow": False, "align": "left"}
    text = f"<b>{label(item.activation)}</b><br><span style='font-size: 11px'>{wrapped}</span>"
    return [{"text": text, "y": top, "yanchor": "bottom", "yshift": 4, "font": {"size": 14}, **at}]
