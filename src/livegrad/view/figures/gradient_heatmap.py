"""Gradient rms of every layer over the steps, on viridis: dark is small."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.heatmap import SICK, heatmap, key, row_words
from livegrad.view.figures.message import of_cells
from livegrad.view.grid import Grid

# Matplotlib's viridis (CC0), at eight even points: even in lightness, so it keeps its order in grey.
VIRIDIS = (
    (0.0, "#440154"),
    (0.143, "#46327e"),
    (0.286, "#365c8d"),
    (0.429, "#277f8e"),
    (0.571, "#1fa187"),
    (0.714, "#4ac16d"),
    (0.857, "#a0da39"),
    (1.0, "#fde725"),
)


def gradient_heatmap(grid: Grid, worst: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the figure; its colours span three decades at least, so that noise looks like noise."""
    known = grid.logs[np.isfinite(grid.logs)]
    low, high = (float(known.min()), float(known.max())) if known.size else (-3.0, 0.0)
    caption = (
        f"Gradient rms. Each row is {row_words(grid)}, input at the top; bright is large, dark is small."
    )
    if grid.stride > 1:
        caption += (
            f" Each column is about {grid.stride} recorded steps, of which it shows the one farthest from "
            "the layer's usual gradient."
        )
    plot = heatmap(grid, worst, VIRIDIS, (min(low, high - 3.0), high), "gradient rms")
    return Drawing(
        f"Gradient of the weights over the steps: {of_cells(grid.logs, grid.nonfinite)}",
        caption + (SICK if worst else ""),
        plot,
        key(grid),
    )
