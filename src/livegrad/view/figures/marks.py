"""Marks for what has no place on a logarithmic axis: exact zeros at its floor, NaN and infinities at its
top.
"""

import numpy as np

from livegrad.view.figures.style import Figure
from livegrad.view.palette import token

ZERO, BROKEN = "exactly zero", "NaN or infinity"


def edge_marks(
    x: np.ndarray,
    zero: np.ndarray,
    broken: np.ndarray,
    limits: tuple[float, float],
    *,
    names: tuple[str, str] = (ZERO, BROKEN),
    words: list[str] | None = None,
    legend: bool = True,
) -> list[Figure]:
    """Return traces for the places of `x` (S,) that are exactly zero or broken; none where none is.

    limits: the axis' ends. words: what the pointer's box says of each place, before the mark's name.
    """
    inset = 0.02 * (limits[1] - limits[0])
    return [
        _marks(np.asarray(x)[where], at, symbol, said, colour, _chosen(words, where), legend)
        for where, at, symbol, said, colour in (
            (zero & ~broken, limits[0] + inset, "triangle-down", names[0], "ink"),
            (broken, limits[1] - inset, "x", names[1], "nonfinite"),
        )
        if where.any()
    ]


def _chosen(words: list[str] | None, where: np.ndarray) -> list[str] | None:
    return None if words is None else [words[i] for i in np.flatnonzero(where)]


def _marks(
    x: np.ndarray, at: float, symbol: str, said: str, colour: str, words: list[str] | None, legend: bool
) -> Figure:
    text = (
        [f"{word}<br>{said}" for word in words] if words else [f"{place}<br>{said}" for place in x.tolist()]
    )
    return {
        "type": "scatter",
        "mode": "markers",
        "name": said,
        "legendgroup": said,
        "showlegend": legend,
        "x": x.tolist(),
        "y": [round(at, 4)] * len(x),
        "cliponaxis": False,
        "text": text,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"symbol": symbol, "size": 9, "color": token(colour)},
    }
