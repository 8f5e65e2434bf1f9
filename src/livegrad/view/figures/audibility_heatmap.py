"""Audibility of every layer over the scans: blue is quieter than the output, orange is louder."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from livegrad.view.figures.heatmap import heatmap
from livegrad.view.figures.style import Figure
from livegrad.view.grid import Grid
from livegrad.view.palette import token

HEALTHY_DECADES = 3.0


def audibility_heatmap(grid: Grid, worst: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return the figure; the colours are centred on the output's own audibility, 10^0."""
    known = grid.logs[np.isfinite(grid.logs)]
    reach = max(HEALTHY_DECADES, float(np.abs(known).max()) if known.size else 0.0)
    scale = (
        (0.0, token("quiet")),
        (0.25, token("quieter")),
        (0.5, token("even")),
        (0.75, token("louder")),
        (1.0, token("loud")),
    )
    return heatmap(grid, worst, scale, (-reach, reach), "audibility / output's")
