"""Panels one below the other over one shared horizontal axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from livegrad.view.figures.style import Figure, layout

_GAP, _AROUND = 34, 90


@dataclass(frozen=True)
class Panel:
    """traces: without their axes. axis: the vertical one. pixels: its height."""

    traces: Sequence[Figure]
    axis: Figure
    pixels: int = 190


def stack(panels: Sequence[Panel], xaxis: Figure, shapes: Sequence[Figure] = (), **more: object) -> Figure:
    """Return a figure of the panels, the first on top."""
    pixels = sum(panel.pixels for panel in panels) + _GAP * (len(panels) - 1)
    data: list[Figure] = []
    axes: Figure = {}
    top = float(pixels)
    for i, panel in enumerate(panels):
        number = "" if i == 0 else str(i + 1)
        low = max(0.0, top - panel.pixels)
        axes[f"yaxis{number}"] = panel.axis | {"domain": [low / pixels, top / pixels]}
        data += [dict(trace) | {"yaxis": f"y{number}"} for trace in panel.traces]
        top = low - _GAP
    anchor = "y" if len(panels) == 1 else f"y{len(panels)}"
    axes["xaxis"] = xaxis | {"anchor": anchor}
    return {"data": data, "layout": layout(pixels + _AROUND, shapes=list(shapes), **axes, **more)}
