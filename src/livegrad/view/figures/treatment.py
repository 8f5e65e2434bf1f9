"""Before and after a treatment: the losses of all arms with their spread, and audibility over the depth."""

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

_HEIGHT = 380
_POINTS = 400
# Beyond these, decades are cut off: what is exactly silent would take the whole axis.
_FLOOR, _CEILING = -40.0, 40.0
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class ArmCurves:
    """The losses of one arm. role: "control", "winner" or "other". steps: (S,). losses: (R, S), one row for
    each seed, NaN where a run has none.
    """

    name: str
    role: str
    steps: np.ndarray
    losses: np.ndarray


def treatment_losses(arms: Sequence[ArmCurves]) -> Drawing:
    """Return the figure: of each arm the middle of its seeds, smoothed, and a band from lowest to highest."""
    drawable = [arm for arm in arms if arm.losses.size]
    values = np.concatenate([arm.losses[np.isfinite(arm.losses)] for arm in drawable] or [np.empty(0)])
    logarithmic = bool(values.size and values.min() > 0 and values.max() / values.min() > 5)
    data: list[Figure] = []
    dashes = iter(_DASHES[1:] * len(arms))
    drawn = []
    for arm in sorted(drawable, key=lambda arm: arm.role != "other"):
        shown = _smoothed(decades(arm.losses) if logarithmic else arm.losses)
        drawn.append(shown[np.isfinite(shown)])
        dash = next(dashes) if arm.role == "other" else "solid"
        data += _arm_traces(arm, shown, dash, logarithmic)
    known = np.concatenate(drawn or [np.empty(0)])
    low, high, cut = _span(known)
    spare = 0.06 * (high - low) or 0.5
    vertical = (
        log_axis(low - spare, high + spare, title=title("loss"))
        if logarithmic
        else axis(range=[low - spare, high + spare], title=title("loss"))
    )
    steps = np.concatenate([arm.steps for arm in arms] or [np.zeros(1)])
    plot = {"data": data, "layout": layout(_HEIGHT, xaxis=step_axis(steps), yaxis=vertical)}
    seeds = max((arm.losses.shape[0] for arm in arms), default=1)
    spread = f" The bands reach from the lowest to the highest of {seeds} seeds." if seeds > 1 else ""
    caption = (
        f"Loss of each step, a running mean, of the median seed; without the remedies and with each.{spread}"
    )
    caption += " Spikes above the figure are cut off." if cut else ""
    return Drawing("Loss, without and with the remedies", caption, plot)


def _span(known: np.ndarray) -> tuple[float, float, bool]:
    """The lowest and highest value to show, and whether spikes are left out: a few of all values that
    would squeeze the rest into under a third of the height.
    """
    if not known.size:
        return 0.0, 1.0, False
    low, high = float(known.min()), float(known.max())
    usual = float(np.percentile(known, 97))
    cut = usual - low < (high - low) / 3 and usual > low
    return low, usual if cut else high, cut


def _arm_traces(arm: ArmCurves, shown: np.ndarray, dash: str, logarithmic: bool) -> list[Figure]:
    colour, band = {
        "control": ("second", "sick"),
        "winner": ("series", "band"),
    }.get(arm.role, ("faint", "unknown"))
    with np.errstate(all="ignore"):
        middle, low, high = (_over_seeds(shown, q) for q in (50, 0, 100))
    kept = thinned(middle, _POINTS)
    x = arm.steps[kept].tolist()
    traces: list[Figure] = []
    if len(shown) > 1 and arm.role != "other":
        edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": x}
        traces += [
            edge | {"y": numbers(low[kept], 4), "showlegend": False},
            edge
            | {"y": numbers(high[kept], 4), "showlegend": False, "fill": "tonexty", "fillcolor": token(band)},
        ]
    said = 10.0 ** middle[kept] if logarithmic else middle[kept]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": label(arm.name, 44),
            "x": x,
            "y": numbers(middle[kept], 4),
            "customdata": numbers(said, 6),
            "line": {"color": token(colour), "width": 2.2 if arm.role != "other" else 1.4, "dash": dash},
            "hovertemplate": f"step %{{x}}<br>{label(arm.name)}: %{{customdata}}<extra></extra>",
        }
    )
    return traces


def _over_seeds(values: np.ndarray, percentile: float) -> np.ndarray:
    """A percentile over the seeds (rows) that have a value at a step; NaN where none has."""
    found = np.full(values.shape[1], np.nan)
    some = np.isfinite(values).any(axis=0)
    finite = np.where(np.isfinite(values), values, np.nan)
    found[some] = np.nanpercentile(finite[:, some], percentile, axis=0)
    return found


def _smoothed(losses: np.ndarray) -> np.ndarray:
    """A running mean over a fiftieth of the steps; not over steps without a finite loss."""
    width = max(1, losses.shape[1] // 50)
    if width < 2:
        return losses
    finite = np.isfinite(losses)
    kernel = np.ones(width)
    sums = np.array(
        [np.convolve(np.where(f, row, 0), kernel, "same") for row, f in zip(losses, finite, strict=True)]
    )
    counts = np.array([np.convolve(f.astype(float), kernel, "same") for f in finite])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(finite, sums / counts, np.nan)


def treatment_audibility(before: Depth, after: Depth, winner: str) -> Drawing:
    """Return the figure: audibility from the input to the output, of the script as it is and treated, at the
    last scan of each.
    """
    caption = (
        "Audibility: how far the output moves if a layer's activation is replaced by noise of equal size, "
        "beside the output's own. A healthy network's curve stays level; where it falls towards the input, "
        "the early layers cannot be heard."
    )
    values = [decades(depth.audibility_ratio(depth.scans[-1])) for depth in (before, after)]
    plot = _over_depth((before, after), values, winner, "audibility / output's")
    return Drawing("Audibility over the depth, before and after", caption, plot)


def treatment_gradient(before: Depth, after: Depth, winner: str) -> Drawing | None:
    """Return the figure: the gradient from the input to the output, of the script as it is and treated, at
    the last scan of each; None where neither measured it.
    """
    values = [decades(depth.column(depth.scans[-1], "gradient_rms")) for depth in (before, after)]
    if not any(np.isfinite(each).any() for each in values):
        return None
    caption = (
        "Rms of the gradient of the loss, per entry of each layer's activation. Its level follows the loss; "
        "what tells is whether it stays level over the depth."
    )
    return Drawing(
        "Gradient over the depth, before and after",
        caption,
        _over_depth((before, after), values, winner, "gradient rms"),
    )


def _over_depth(depths: Sequence[Depth], logs: Sequence[np.ndarray], winner: str, unit: str) -> Figure:
    """The two curves over a depth from 0 to 1: a remedy may have added layers."""
    looks = [("nothing done", "second", "dash"), (winner, "series", "solid")]
    data, known = [], []
    for (name, colour, dash), depth, log in zip(looks, depths, logs, strict=True):
        values = np.clip(log, _FLOOR, _CEILING)
        known.append(values[np.isfinite(values)])
        share = np.linspace(0, 1, len(values)) if len(values) > 1 else np.zeros(len(values))
        kept = thinned(values, _POINTS)
        data.append(
            {
                "type": "scatter",
                "mode": "lines" if len(values) > 30 else "lines+markers",
                "name": label(name, 44),
                "x": numbers(share[kept], 4),
                "y": numbers(values[kept], 3),
                "text": [label(depth.names[i]) for i in kept],
                "line": {"color": token(colour), "width": 2.2, "dash": dash},
                "marker": {"color": token(colour), "size": 6},
                "hovertemplate": f"%{{text}}<br>{label(name)}: 10<sup>%{{y}}</sup><extra></extra>",
            }
        )
    every = np.concatenate(known)
    top = 0.0 if unit != "gradient rms" or not every.size else float(every.max())
    low = min(top - 1.0, float(every.min()) - 0.5) if every.size else -1.0
    high = max(top + 1.0, float(every.max()) + 0.5) if every.size else 1.0
    horizontal = axis(
        title=title("depth"),
        range=[-0.02, 1.06],
        ticklabeloverflow="allow",
        tickvals=[0, 1],
        ticktext=["input", "output"],
        showgrid=False,
    )
    vertical = log_axis(low, high, title=title(unit))
    return {"data": data, "layout": layout(_HEIGHT, xaxis=horizontal, yaxis=vertical)}
