"""What each layer passes back of the gradient, over the scans: blue takes of it, dotted orange adds."""

from collections.abc import Mapping
from typing import Any

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.heatmap import SICK, diverging, heatmap, key, row_words
from livegrad.view.figures.message import of_cells
from livegrad.view.grid import Grid

_LEAST = 0.5


def gain_heatmap(grid: Grid, worst: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the figure; the colours are centred on a gain of 1, which leaves the gradient as it is."""
    caption = (
        "Backward gain: the norm of the gradient below a layer over that above it. "
        f"Each row is {row_words(grid)}, input at the top; blue passes on less than it was given; "
        "orange, dotted, more."
    )
    plot = heatmap(grid, worst, *diverging(grid, _LEAST), "gain", dotted=True)
    logs = grid.logs[:, -1:]
    said = of_cells(logs, grid.nonfinite[:, -1:])
    return Drawing(
        f"Backward gain over the scans: {said}", caption + (SICK if worst else ""), plot, key(grid)
    )
