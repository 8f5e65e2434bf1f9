"""The loss over the steps, with the findings as bars above it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_loss
from livegrad.view.figures.panels import Panel, stack
from livegrad.view.figures.style import Figure, axis, decades, label, log_axis, numbers, title
from livegrad.view.palette import token
from livegrad.view.progress import Progress

LANES = 6
_SMOOTHED, _SHARE = 120, 30
_LANE = 17


def loss(progress: Progress, findings: Sequence[Mapping[str, Any]]) -> Drawing:
    """Return the figure: the loss, and above it from when to when each finding was seen."""
    timed = lanes_of(findings)
    panels = ([lanes(timed, progress.steps)] if timed else []) + [loss_panel(progress)]
    told = (
        " The bars above it show from when to when each finding was seen; the dotted lines, where it begins."
    )
    caption = f"Loss of each training step, as the script computed it.{told if timed else ''}"
    plot = stack(panels, step_axis(progress.steps), begin_lines(timed))
    return Drawing(f"Loss over the steps: {of_loss(progress)}", caption, plot)


def step_axis(steps: np.ndarray) -> Figure:
    """Return the axis of the steps."""
    first, last = (int(steps.min()), int(steps.max())) if len(steps) else (0, 1)
    spare = 0.01 * max(last - first, 1)
    return axis(title=title("step"), range=[first - spare, last + spare], showgrid=False)


def lanes_of(findings: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the findings that have a time, the first few."""
    return [finding for finding in findings if finding.get("first_step") is not None][:LANES]


def begin_lines(findings: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """Return a dotted line through all panels where each finding begins."""
    return [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": step,
            "x1": step,
            "y0": 0,
            "y1": 1,
            "line": {"color": token(_severity(finding)), "width": 1, "dash": "dot"},
            "layer": "below",
        }
        for step, finding in {f["first_step"]: f for f in reversed(findings)}.items()
        if step > 0
    ]


def _severity(finding: Mapping[str, Any]) -> str:
    return finding["severity"] if finding["severity"] in ("error", "warning", "info") else "info"


def lanes(findings: Sequence[Mapping[str, Any]], steps: np.ndarray) -> Panel:
    """Return a bar for each finding, from its first step to its last."""
    end = int(steps[-1]) if len(steps) else 0
    traces = []
    for i, finding in enumerate(findings):
        first = finding["first_step"]
        last = finding.get("last_step")
        last = max(first, end if last is None else last)
        colour = token(_severity(finding))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [first, last],
                "y": [-i, -i],
                "line": {"color": colour, "width": 5},
                "marker": {"color": colour, "size": 9, "symbol": "square"},
                "showlegend": False,
                "hovertemplate": f"{label(finding['code'])}, steps {first} to {last}<extra></extra>",
            }
        )
    signs = {"error": "✗ ", "warning": "▲ "}
    shown = axis(
        tickvals=[-i for i in range(len(findings))],
        ticktext=[signs.get(f["severity"], "") + label(f["code"]) for f in findings],
        range=[0.6 - len(findings), 0.6],
        showgrid=False,
    )
    return Panel(traces, shown, _LANE * len(findings) + 8)


def loss_panel(progress: Progress) -> Panel:
    """Return the loss, on a logarithmic axis where it falls by more than a factor of thirty."""
    known = progress.loss[np.isfinite(progress.loss)]
    logarithmic = bool(known.size and known.min() > 0 and known.max() / known.min() > 30)
    values = decades(progress.loss) if logarithmic else progress.loss
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    spare = 0.06 * (high - low) or 0.5
    limits = (low - spare, high + spare)
    smooth = _running_median(values)
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines" if len(values) > 1 else "markers",
            "name": "loss",
            "x": progress.steps.tolist(),
            "y": numbers(values, 6),
            "customdata": numbers(progress.loss, 6),
            "line": {"color": token("faint" if smooth is not None else "series"), "width": 1.2},
            "showlegend": smooth is not None,
            "hovertemplate": "step %{x}<br>loss %{customdata}<extra></extra>",
        }
    ]
    if smooth is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "running median",
                "x": progress.steps.tolist(),
                "y": numbers(smooth, 6),
                "line": {"color": token("series"), "width": 2.2},
                "hoverinfo": "skip",
            }
        )
    words = [f"step {step}" for step in progress.steps.tolist()]
    none = np.zeros(len(values), bool)
    traces += edge_marks(
        progress.steps, none, progress.loss_broken, limits, names=("", "loss is NaN or infinite"), words=words
    )
    shown = (
        log_axis(*limits, title=title("loss"))
        if logarithmic
        else axis(range=list(limits), title=title("loss"))
    )
    return Panel(traces, shown)


def _running_median(values: np.ndarray) -> np.ndarray | None:
    """Return the median of each point's neighbours, NaN where it has none; None for short curves."""
    if len(values) < _SMOOTHED:
        return None
    half = max(2, len(values) // _SHARE // 2)
    found = np.full(len(values), np.nan)
    for i in range(len(values)):
        part = values[max(0, i - half) : i + half + 1]
        known = part[np.isfinite(part)]
        if len(known) and np.isfinite(values[i]):
            found[i] = np.median(known)
    return found
