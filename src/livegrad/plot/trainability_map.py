"""`livegrad.plot.trainability`: where in (σ_w², σ_b²) wide plain networks train, by theory."""

from typing import TYPE_CHECKING

import numpy as np

from livegrad.errors import UsageError
from livegrad.plot.paint import paint
from livegrad.theory.activation import CATALOGUE
from livegrad.theory.phase_map import phase_map
from livegrad.view.figures.trainability import trainability as drawn

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def trainability(
    activation: str = "Tanh",
    show: str = "gradient",
    *,
    weight: tuple[float, float] = (0.5, 4.0),
    bias: tuple[float, float] = (0.0, 0.5),
    points: int | None = None,
    theme: str = "light",
) -> "Figure":
    """Return a map over weight variance σ_w² = fan-in · Var W and bias variance σ_b², from mean-field theory.

    "gradient": ½ log10 χ₁, the decades by which one layer of a wide plain network changes the gradient's
    norm, at the length where its activations settle. "depth": 6 ξ_c, the layers over which it trains; takes
    half a minute. The line is χ₁ = 1, where gradients neither vanish nor explode. (Poole et al. 2016;
    Schoenholz et al. 2017.)

    Args:
        activation: a name in livegrad's catalogue.
        weight, bias: the ranges of σ_w² and σ_b².
        points: how many values of σ_w², by default 33 or, of depths, 17; of σ_b² two thirds as many.

    Raises UsageError for an unknown activation or an empty range.
    """
    name = known_activation(activation)
    if show not in ("gradient", "depth"):
        raise UsageError(f"cannot show {show!r}; choose from 'gradient', 'depth'")
    points = points or (33 if show == "gradient" else 17)
    across, along = grid(weight, points, least=1e-3), grid(bias, max(2 * points // 3, 2))
    return paint(drawn(phase_map(name, across, along, show == "depth"), show), theme)


def known_activation(name: str) -> str:
    """Return the catalogue's name, whatever its case. Raises UsageError for one that is not in it."""
    found = {known.lower(): known for known in CATALOGUE}.get(str(name).lower())
    if found is None:
        raise UsageError(f"no activation {name!r} in the catalogue; it has {', '.join(CATALOGUE)}")
    return found


def grid(ends: tuple[float, float], points: int, least: float = 0.0) -> tuple[float, ...]:
    """Return evenly spaced values over a range. Raises UsageError for an empty one, or fewer than two
    points.
    """
    low, high = max(float(ends[0]), least), float(ends[1])
    if not low < high or points < 2:
        raise UsageError(
            f"a range has two ends, the lower first, and at least two points: got {ends!r}, {points!r}"
        )
    return tuple(np.linspace(low, high, points).round(6).tolist())
