"""`livegrad.plot.heatmap`: layer by step."""

from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError
from livegrad.plot.depth_profile import measured_depth
from livegrad.plot.paint import paint
from livegrad.plot.source import source_of
from livegrad.view.depth import Depth
from livegrad.view.figures.audibility_heatmap import audibility_heatmap
from livegrad.view.figures.gain_heatmap import gain_heatmap
from livegrad.view.figures.gradient_heatmap import gradient_heatmap
from livegrad.view.grid import audibility_grid, gain_grid, gradient_grid

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = ("gradient", "audibility", "gain")


def heatmap(
    source: Any, show: str = "gradient", *, subject: str | int | None = None, theme: str = "light"
) -> "Figure":
    """Return layer by step as colours on a logarithmic scale, the input at the top.

    "gradient": rms of the gradient of each layer's weights at the recorded steps, per entry, unscaled and
    unclipped (dark is small). "audibility": at the scans, over the output's. "gain": what each layer passes
    back of the gradient's norm, δ below over δ above, at the scans; these two diverge around 1. More than 120
    layers are folded: of neighbours the one farthest from the rest is shown, and the range stands in the
    pointer's box. Of more than 400 recorded steps a column stands for several and shows, of all of them, each
    layer's value farthest from its usual one. Cells that are exactly zero or not finite have colours of their
    own.

    Args: source: a run or its path; subject, theme: as for `depth`.
    Raises UsageError where nothing of the kind was recorded.
    """
    if show not in SHOWN:
        raise UsageError(f"cannot show {show!r}; choose from {', '.join(map(repr, SHOWN))}")
    found = source_of(source, subject)
    if show == "gradient":
        grid = gradient_grid(found.run, found.number, Depth.of(found.run, found.number))
        if grid is None:
            raise UsageError("no gradient was recorded, so there is nothing to show over the steps")
        return paint(gradient_heatmap(grid, found.worst), theme, found.title)
    along = measured_depth(found)
    grid = audibility_grid(along) if show == "audibility" else gain_grid(along)
    if grid is None:
        raise UsageError("a gain needs two measured layers, and there is one")
    draw = audibility_heatmap if show == "audibility" else gain_heatmap
    return paint(draw(grid, found.worst), theme, found.title)
