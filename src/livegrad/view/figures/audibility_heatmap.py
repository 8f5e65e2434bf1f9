"""Audibility of every layer over the scans: blue is quieter than the output, orange is louder."""

from collections.abc import Mapping
from typing import Any

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.heatmap import SICK, diverging, heatmap, key, row_words
from livegrad.view.figures.message import of_cells
from livegrad.view.grid import Grid

HEALTHY_DECADES = 3.0


def audibility_heatmap(grid: Grid, worst: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the figure; the colours are centred on the output's own audibility, 10^0."""
    caption = (
        f"Audibility over the output's. Each row is {row_words(grid)}, input at the top; blue is quieter "
        "than the output; orange, dotted, is louder."
    )
    plot = heatmap(grid, worst, *diverging(grid, HEALTHY_DECADES), "audibility / output's", dotted=True)
    return Drawing(
        f"Audibility over the scans: {of_cells(grid.logs, grid.nonfinite)}",
        caption + (SICK if worst else ""),
        plot,
        key(grid),
    )
