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
    ends = edges(np.asarray(x, dtype=np.float64))
    above = np.where(np.isfinite(logs), logs, -np.inf)
    dots = [dot for odd in (0, 1) for dot in _dots(above, ends, odd, _PLAIN * reach)]
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


def edges(x: np.ndarray) -> np.ndarray:
    """Where the cells with these middles end (C + 1,): half-way between neighbours.

    The first begins at its own middle, and the last reaches a twentieth of the whole beyond its own at most:
    of steps far apart it would else go on where the run had ended.
    """
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    between = (x[1:] + x[:-1]) / 2
    return np.array([x[0], *between, x[-1] + min((x[-1] - x[-2]) / 2, (x[-1] - x[0]) / 20)])


def _dots(above: np.ndarray, ends: np.ndarray, odd: int, least: float) -> Iterator[tuple[float, int]]:
    """The dots of all even or all odd rows: where along the row, and its number."""
    slot = (ends[-1] - ends[0]) / _ACROSS
    cuts = np.clip(ends[0] + slot * (np.arange(_ACROSS + 1 + odd) - odd / 2), ends[0], ends[-1])
    rows = np.arange(odd, len(above), 2)
    for start, stop in pairwise(cuts.tolist()):
        first = int(np.searchsorted(ends, start, side="right")) - 1
        last = max(first + 1, int(np.searchsorted(ends, stop, side="left")))
        part = above[rows, first:last]
        for row, best, value in zip(rows.tolist(), part.argmax(axis=1), part.max(axis=1), strict=True):
            if value > least:
                left, right = max(start, ends[first + best]), min(stop, ends[first + best + 1])
                yield float(np.clip((start + stop) / 2, left, right)), row
