"""Dots over the side of a diverging heatmap that lies above its centre: in grey both ends look alike."""

from collections.abc import Sequence

import numpy as np

from livegrad.view.figures.style import Figure
from livegrad.view.palette import token

# The most dots along each side of a heatmap, and the share of the scale from which a cell's colour is plain.
_ACROSS, _DOWN = 56, 40
_PLAIN = 0.1


def stipple(
    logs: np.ndarray, x: np.ndarray, y: Sequence[str] | Sequence[float], reach: float
) -> list[Figure]:
    """Return the dots, none where no cell is plainly above 0.

    logs: (R, C), x: (C,), y: R names or places. reach: where the scale ends. Of a large grid each block of
    neighbours gets one dot, on the highest of its cells, so that no single row or column goes without.
    """
    rows, columns = (
        np.array_split(np.arange(count), min(count, most))
        for count, most in zip(logs.shape, (_DOWN, _ACROSS), strict=True)
    )
    above = np.where(np.isfinite(logs), logs, -np.inf)
    found = [_highest(above, down, across) for down in rows for across in columns]
    dotted = [cell for cell in found if above[cell] > _PLAIN * reach]
    if not dotted:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [x[column].item() for _, column in dotted],
            "y": [y[row] for row, _ in dotted],
            "marker": {"symbol": "circle", "size": 3, "color": token("ink"), "opacity": 0.6},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]


def _highest(logs: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> tuple[int, int]:
    part = logs[np.ix_(rows, columns)]
    row, column = np.unravel_index(int(np.argmax(part)), part.shape)
    return int(rows[row]), int(columns[column])
