"""Two runs, A and B, in one picture: their losses, and their audibility over the depth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livegrad.view.depth import Depth
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.loss import step_axis
from livegrad.view.figures.style import (
    Figure,
    axis,
    decades,
    label,
    layout,
    log_axis,
    numbers,
    thinned,
    title,
)
from livegrad.view.palette import token

_HEIGHT, _MOST = 360, 1200
_FLOOR, _CEILING = -40.0, 40.0
# Colour and dash tell them apart, each alone.
_LOOKS = (("A", "second", "dash"), ("B", "series", "solid"))


@dataclass(frozen=True)
class Curve:
    """The loss of one model. steps, loss: (S,), NaN where it is unknown or not finite."""

    name: str
    steps: np.ndarray
    loss: np.ndarray


def two_losses(a: Sequence[Curve], b: Sequence[Curve]) -> Drawing:
    """Return the losses of both runs' models over their steps."""
    known = np.concatenate([c.loss[np.isfinite(c.loss)] for c in (*a, *b)] or [np.empty(0)])
    logarithmic = bool(known.size and known.min() > 0 and known.max() / known.min() > 30)
    data: list[Figure] = []
    for (letter, colour, dash), curves in zip(_LOOKS, (a, b), strict=True):
        for curve in curves:
            name = letter if len(curves) == 1 else f"{letter}, {label(curve.name)}"
            shown = decades(curve.loss) if logarithmic else curve.loss
            rows = thinned(shown, _MOST)
            data.append(
                {"type": "scatter", "mode": "lines", "name": name, "x": curve.steps[rows].tolist(),
                 "y": numbers(shown[rows], 6), "customdata": numbers(curve.loss[rows], 6),
                 "line": {"color": token(colour), "width": 1.8, "dash": dash},
                 "hovertemplate": f"{name}, step %{{x}}<br>loss %{{customdata}}<extra></extra>"}
            )  # fmt: skip
    values = np.log10(known) if logarithmic else known
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    spare = 0.06 * (high - low) or 0.5
    vertical = (
        log_axis(low - spare, high + spare, title=title("loss"))
        if logarithmic
        else axis(range=[low - spare, high + spare], title=title("loss"))
    )
    steps = np.concatenate([c.steps for c in (*a, *b)] or [np.zeros(1)])
    plot = {"data": data, "layout": layout(_HEIGHT, xaxis=step_axis(steps), yaxis=vertical)}
    return Drawing("Losses of both", "Loss of each step, as the scripts computed it.", plot)


def two_depths(a: Depth, b: Depth) -> Drawing:
    """Return the audibility of both at their last scans, from the input to the output."""
    data: list[Figure] = []
    known = []
    for (letter, colour, dash), depth in zip(_LOOKS, (a, b), strict=True):
        values = np.clip(decades(depth.audibility_ratio(depth.scans[-1])), _FLOOR, _CEILING)
        known.append(values[np.isfinite(values)])
        share = np.linspace(0, 1, len(values)) if len(values) > 1 else np.zeros(len(values))
        rows = thinned(values, _MOST)
        data.append(
            {"type": "scatter", "mode": "lines" if len(values) > 30 else "lines+markers", "name": letter,
             "x": numbers(share[rows], 4), "y": numbers(values[rows], 3),
             "text": [label(depth.names[i]) for i in rows],
             "line": {"color": token(colour), "width": 2.2, "dash": dash},
             "marker": {"color": token(colour), "size": 6},
             "hovertemplate": f"{letter}, %{{text}}<br>10<sup>%{{y}}</sup><extra></extra>"}
        )  # fmt: skip
    every = np.concatenate(known)
    low = min(-1.0, float(every.min()) - 0.5) if every.size else -1.0
    high = max(1.0, float(every.max()) + 0.5) if every.size else 1.0
    horizontal = axis(
        title=title("depth"), range=[-0.02, 1.06], ticklabeloverflow="allow", tickvals=[0, 1],
        ticktext=["input", "output"], showgrid=False,
    )  # fmt: skip
    vertical = log_axis(low, high, title=title("audibility / output's"))
    caption = (
        "How well the output hears each layer, at the last scan of each. A healthy network's curve stays "
        "level; where it falls towards the input, the early layers cannot be heard."
    )
    plot = {"data": data, "layout": layout(_HEIGHT, xaxis=horizontal, yaxis=vertical)}
    return Drawing("Audibility of both over the depth", caption, plot)
