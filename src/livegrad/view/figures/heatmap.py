"""A heatmap of layers over steps; non-finite and exactly zero cells are marked in colours of their own."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.view.figures.stipple import edges, stipple
from livegrad.view.figures.style import (
    Figure,
    axis,
    label,
    layout,
    numbers,
    severities,
    stretches,
    title,
    unique,
)
from livegrad.view.grid import Grid
from livegrad.view.palette import token

_ROW, _LABELS = 17, 32
# Of a figure as tall as they become, and of a line of letters, pixels.
_TALLEST, _LETTERS = 620, 15


SICK = " Layers with an error (✗) or a warning (▲) are in bold, with a bar beside them."


def row_words(grid: Grid) -> str:
    """Return what one row stands for."""
    if grid.folded == 1:
        return "one layer"
    return f"up to {grid.folded} neighbouring layers, of which it shows the one farthest from the rest"


def key(grid: Grid) -> tuple[tuple[str, str], ...]:
    """Return the key to the cells that have no colour of the scale, where there are any."""
    kinds = (
        ("nonfinite", "NaN or infinity", grid.nonfinite),
        ("zero", "exactly zero", np.isneginf(grid.logs) & ~grid.nonfinite),
        ("paper", "no gradient, or not measured", np.isnan(grid.logs) & ~grid.nonfinite),
    )
    return tuple((colour, words) for colour, words, cells in kinds if cells.any())


def diverging(grid: Grid, least: float) -> tuple[list[tuple[float, str]], tuple[float, float]]:
    """Return a scale centred on 10⁰ and its limits: as far as the grid goes, and at least `least` decades."""
    known = grid.logs[np.isfinite(grid.logs)]
    reach = max(least, float(np.abs(known).max()) if known.size else 0.0)
    names = ("quiet", "quieter", "even", "louder", "loud")
    return [(i / 4, token(name)) for i, name in enumerate(names)], (-reach, reach)


def heatmap(
    grid: Grid,
    worst: Mapping[str, Mapping[str, Any]],
    scale: Sequence[tuple[float, str]],
    limits: tuple[float, float],
    unit: str,
    dotted: bool = False,
) -> Figure:
    """Return the figure.

    Args:
        grid: rows are drawn from the input at the top to the output at the bottom.
        worst: the worst finding of each layer; its rows are marked at their names and along the edge.
        scale: colours by share of `limits`.
        limits: the decimal logarithms at the ends of the colour scale.
        unit: what the logarithm is of, for the pointer's box.
        dotted: whether cells over 10⁰ are dotted, which tells the two sides of a diverging scale in grey.
    """
    sick = [next((w for name in row if (w := worst.get(name)) is not None), None) for row in grid.rows]
    found = severities([str(i) for i in range(len(sick))], {str(i): w for i, w in enumerate(sick) if w})
    names = _row_names(grid, found)
    trace = {
        "type": "heatmap",
        "x": grid.steps.tolist(),
        "y": names,
        "z": numbers(grid.logs),
        "zmin": limits[0],
        "zmax": limits[1],
        "colorscale": [[share, colour] for share, colour in scale],
        "hoverongaps": False,
        "hovertemplate": f"%{{y}}<br>step %{{x}}<br>{unit} 10<sup>%{{z}}</sup>{_span(grid)}<extra></extra>",
        "colorbar": _colour_bar(),
    }
    if grid.low is not None and grid.high is not None:
        ends = np.stack([grid.low, grid.high], axis=-1)
        trace["customdata"] = [[_ends(cell) for cell in row] for row in ends.tolist()]
    height = max(200, min(_ROW * len(names), _TALLEST) + 70)
    return {
        "data": [
            trace,
            *_marks(grid, names),
            *(stipple(grid.logs, grid.steps, names, limits[1]) if dotted else ()),
        ],
        "layout": layout(
            height,
            xaxis=axis(title=title("step"), showgrid=False, range=_step_range(grid.steps)),
            yaxis=axis(
                type="category",
                range=[len(names) - 0.5, -0.5],
                showgrid=False,
                ticks="outside",
                ticklen=14,
                tickcolor="rgba(0,0,0,0)",
                **_ticks(names, found),
            ),
            shapes=_edge(found),
            margin={"l": 8, "r": 4, "t": 28, "b": 8},
        ),
    }


def _span(grid: Grid) -> str:
    if grid.low is None:
        return ""
    return "<br>range: 10<sup>%{customdata[0]}</sup> … 10<sup>%{customdata[1]}</sup>"


def _ends(cell: list[float]) -> list[float | str] | None:
    """The range of a cell's layers as powers of ten; 10^−∞ is an exact zero."""
    if any(log != log for log in cell):
        return None
    return ["−∞" if log == -math.inf else round(log, 1) for log in cell]


def _step_range(steps: np.ndarray) -> list[float]:
    """Return the axis from the first cell's beginning to the last one's end."""
    ends = edges(np.asarray(steps, dtype=np.float64))
    return [float(ends[0]), float(ends[-1])]


def _row_names(grid: Grid, found: Sequence[str | None]) -> list[str]:
    signs = {"error": "✗ ", "warning": "▲ ", None: ""}
    shown = [
        label(row[0], 26) if len(row) == 1 else f"{label(row[0], 20)} … ({len(row)})" for row in grid.rows
    ]
    return [
        f"<b>{signs[severity]}{name}</b>" if severity else name
        for name, severity in zip(unique(shown), found, strict=True)
    ]


def _ticks(names: Sequence[str], found: Sequence[str | None]) -> Figure:
    """Return which rows are named: all, or as many as fit, the ends of the sick stretches among them."""
    if len(names) <= _LABELS:
        return {"tickvals": list(names), "ticktext": list(names)}
    wanted = [end for first, last, _ in stretches(found)[:5] for end in (first, last)]
    wanted += np.linspace(0, len(names) - 1, _LABELS * 2 // 3).round().astype(int).tolist()
    apart = math.ceil(_LETTERS * len(names) / _TALLEST)
    chosen: list[int] = []
    for i in wanted:
        if all(abs(i - other) >= apart for other in chosen):
            chosen.append(i)
    return {"tickvals": (shown := [names[i] for i in sorted(chosen)]), "ticktext": shown}


def _colour_bar() -> Figure:
    return {
        "thickness": 10,
        "outlinewidth": 0,
        "tickprefix": "10<sup>",
        "ticksuffix": "</sup>",
        "tickfont": {"color": token("muted"), "size": 11},
        "nticks": 6,
        "xpad": 6,
    }


def _marks(grid: Grid, names: Sequence[str]) -> list[Figure]:
    """Return the cells that have no logarithm, each kind in one colour."""
    kinds = [
        ("nonfinite", grid.nonfinite, "NaN or infinity"),
        ("zero", np.isneginf(grid.logs) & ~grid.nonfinite, "exactly zero"),
    ]
    return [
        {
            "type": "heatmap",
            "x": grid.steps.tolist(),
            "y": list(names),
            "z": numbers(np.where(cells, 1.0, np.nan)),
            "colorscale": [[0, token(colour)], [1, token(colour)]],
            "showscale": False,
            "hoverongaps": False,
            "hovertemplate": f"%{{y}}<br>step %{{x}}<br>{words}<extra></extra>",
        }
        for colour, cells, words in kinds
        if cells.any()
    ]


def _edge(found: Sequence[str | None]) -> list[Figure]:
    """Return bars along the left edge beside the sick rows."""
    return [
        {
            "type": "rect",
            "xref": "paper",
            "yref": "y",
            "xsizemode": "pixel",
            "xanchor": 0,
            "x0": -10,
            "x1": -3,
            "y0": first - 0.5,
            "y1": last + 0.5,
            "fillcolor": token(severity),
            "line": {"width": 0},
        }
        for first, last, severity in stretches(found)
    ]
