"""Dots over the side of a diverging heatmap that lies above its centre: in grey both ends look alike."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from livegrad.view.figures.style import Figure
from livegrad.view.palette import token

# How many dots a row has at most, and the share of the scale from which a cell's colour is plain.
_ACROSS, _PLAIN = 28, 0.1


def stipple(
    logs: np.ndarray, x: np.ndarray, y: Sequence[str] | Sequence[float], reach: float
) -> list[Figure]:
    """Return the dots, none where no cell is plainly above 0.

    logs: (R, C), x: (C,) ascending, the middles of the cells, y: R names or places. reach: where the scale
    ends. Every row is cut into slots, those of odd rows half a slot further, and a slot is dotted in the
    highest of its cells: no cell above the centre goes without, however narrow, and a wide one is filled.
    """
    edges = _edges(np.asarray(x, dtype=np.float64))
    above = np.where(np.isfinite(logs), logs, -np.inf)
    dots = [dot for odd in (0, 1) for dot in _dots(above, edges, odd, _PLAIN * reach)]
    if not dots:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [round(at, 4) for at, _ in dots],
            "y": [y[row] for _, row in dots],
            "marker": {"symbol": "circle", "size": 3, "color": token("ink"), "opacity": 0.6},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _edges(x: np.ndarray) -> np.ndarray:
    """Where the cells end (C + 1,): half-way between their middles, the first one at its own."""
    if len(x) == 1:
        return np.array([x[0], x[0] + 0.5])
    between = (x[1:] + x[:-1]) / 2
    return np.array([x[0], *between, x[-1] + (x[-1] - x[-2]) / 2])


def _dots(above: np.ndarray, edges: np.ndarray, odd: int, least: float) -> Iterator[tuple[float, int]]:
    """The dots of all even or all odd rows: where along the row, and its number."""
    slot = (edges[-1] - edges[0]) / _ACROSS
    cuts = np.clip(edges[0] + slot * (np.arange(_ACROSS + 1 + odd) - odd / 2), edges[0], edges[-1])
    rows = np.arange(odd, len(above), 2)
    for start, stop in pairwise(cuts.tolist()):
        first = int(np.searchsorted(edges, start, side="right")) - 1
        last = max(first + 1, int(np.searchsorted(edges, stop, side="left")))
        part = above[rows, first:last]
        for row, best, value in zip(rows.tolist(), part.argmax(axis=1), part.max(axis=1), strict=True):
            if value > least:
                left, right = max(start, edges[first + best]), min(stop, edges[first + best + 1])
                yield float(np.clip((start + stop) / 2, left, right)), row
