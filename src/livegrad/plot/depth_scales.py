"""`livegrad.plot.trainable_depth`: how deep wide plain networks train, by theory, with its scales ξ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.plot.trainability_map import grid, known_activation
from livegrad.theory.phase_map import depth_scales
from livegrad.view.figures.trainable_depth import trainable_depth as drawn

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def trainable_depth(
    activation: str = "Tanh",
    *,
    bias_variance: float = 0.05,
    weight: tuple[float, float] = (0.5, 4.0),
    deepest: int = 300,
    points: int = 47,
    measured: Sequence[tuple[float, int, float]] = (),
    theme: str = "light",
) -> "Figure":
    """Return depth over weight variance: what is left of the gradient, and theory's depth scales in layers.

    Background: ½ L log10 χ₁, decades of the gradient's norm over L layers. Lines: ξ_q and ξ_c, over which
    sizes and correlations approach their fixed points by a factor e; ξ_∇ = 1/|ln χ₁|; and 6 ξ_c, under which
    tanh networks were seen to train (Schoenholz et al. 2017, which draws the same picture).

    Args:
        activation: a name in livegrad's catalogue.
        bias_variance: σ_b². weight: the range of σ_w² = fan-in · Var W. deepest: the largest depth drawn.
        measured: (σ_w², depth, share learnt) of networks really trained, drawn over it.

    Raises UsageError for an unknown activation or an empty range.
    """
    name = known_activation(activation)
    if deepest < 2:
        raise UsageError(f"deepest is the largest depth of the picture, at least 2 layers: got {deepest!r}")
    across = grid(weight, points, least=1e-3)
    phases = depth_scales(name, across, float(bias_variance))
    table = np.array(measured, dtype=float).reshape(-1, 3)
    dots = (table[:, 0], table[:, 1], table[:, 2]) if len(table) else None
    picture = drawn(name, np.array(across), phases, float(bias_variance), int(deepest), dots)
    return paint(picture, theme)
