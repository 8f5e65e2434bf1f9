"""Loss and update ratio over the steps, with the findings as bars above them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.loss import begin_lines, lanes, lanes_of, loss_panel, step_axis
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.panels import Panel, stack
from livegrad.view.figures.style import Figure, decades, log_axis, numbers, title
from livegrad.view.palette import token
from livegrad.view.progress import Progress


def training(progress: Progress, findings: Sequence[Mapping[str, Any]]) -> Drawing:
    """Return the figure; panels without data are left out."""
    timed = lanes_of(findings)
    panels = [lanes(timed, progress.steps)] if timed else []
    panels += [loss_panel(progress)] if progress.has_loss else []
    panels += [updates_panel(progress)] if progress.has_updates else []
    caption = (
        "Update ratio: how far one step moves a weight matrix, beside its own size. "
        "The bars at the top show from when to when each finding was seen."
    )
    plot = stack(panels, step_axis(progress.steps), begin_lines(timed))
    return Drawing("Loss and updates over the steps", caption, plot)


def updates_panel(progress: Progress) -> Panel:
    """Return ‖ΔW‖/‖W‖ of the weight matrices: the median, the range of nine in ten, and the largest."""
    lower, middle, upper, largest = (decades(row) for row in progress.update_ratio)
    sick = None if progress.sick_ratio is None else decades(progress.sick_ratio)
    drawn = [values for values in (lower, middle, upper, largest, sick) if values is not None]
    known = np.concatenate([values[np.isfinite(values)] for values in drawn])
    low, high = (float(known.min()), float(known.max())) if known.size else (-4.0, -2.0)
    spare = 0.2 + max(0.0, 2.0 - (high - low)) / 2
    floor = low - spare
    steps = progress.update_steps.tolist()
    edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "x": steps}
    band = {"fill": "tonexty", "fillcolor": token("band"), "name": "90 % of weight matrices"}
    traces = [
        edge | {"y": numbers(np.maximum(lower, floor), 3), "showlegend": False},
        edge | band | {"y": numbers(np.maximum(upper, floor), 3)},
        _ratio(steps, largest, "largest of any", token("faint"), "dot"),
        _ratio(steps, middle, "median weight matrix", token("series"), "solid"),
    ]
    if sick is not None:
        traces.append(_ratio(steps, sick, "median of layers with a finding", token("second"), "dash"))
    still = np.isneginf(middle if sick is None else sick)
    none = np.zeros(len(still), bool)
    words = [f"step {step}" for step in steps]
    traces += edge_marks(
        progress.update_steps,
        still,
        none,
        (floor, high),
        names=("exactly zero: nothing moved", ""),
        words=words,
    )
    return Panel(traces, log_axis(floor, high + spare, title=title("update ratio ‖ΔW‖ / ‖W‖")))


def _ratio(steps: list[int], logs: np.ndarray, name: str, colour: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(steps) < 40 else "lines",
        "name": name,
        "x": steps,
        "y": numbers(logs, 3),
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "marker": {"size": 5, "color": colour},
        "hovertemplate": f"step %{{x}}<br>{name}: 10<sup>%{{y}}</sup><extra></extra>",
    }
