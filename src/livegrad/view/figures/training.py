"""Loss and update ratio over the steps, with the findings as bars above them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.view.figures.style import Figure, axis, decades, label, layout, log_axis, numbers, title
from livegrad.view.palette import token
from livegrad.view.progress import Progress

_LANES, _HEIGHT = 6, 460


def training(progress: Progress, findings: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the figure; panels without data are left out."""
    timed = [finding for finding in findings if finding.get("first_step") is not None][:_LANES]
    panels = []
    if timed:
        panels.append((0.06 * len(timed) + 0.02, _lanes(timed, progress)))
    if progress.has_loss:
        panels.append((1.0, _loss(progress)))
    if progress.has_updates:
        panels.append((1.0, _updates(progress)))
    return _stack(panels, progress)


def _stack(panels: list[tuple[float, tuple[list[Figure], Figure]]], progress: Progress) -> Figure:
    """Return the panels one below the other, their heights in proportion."""
    gap = 0.06
    room = 1 - gap * (len(panels) - 1)
    total = sum(share for share, _ in panels)
    data: list[Figure] = []
    axes: Figure = {}
    top = 1.0
    for i, (share, (traces, y_axis)) in enumerate(panels):
        number = "" if i == 0 else str(i + 1)
        height = room * share / total
        axes[f"yaxis{number}"] = y_axis | {"domain": [max(0.0, top - height), top]}
        data += [trace | {"yaxis": f"y{number}"} for trace in traces]
        top -= height + gap
    bottom = "y" if len(panels) == 1 else f"y{len(panels)}"
    end = max(int(progress.steps[-1]), 1) if len(progress.steps) else 1
    axes["xaxis"] = axis(title=title("step"), range=[-0.01 * end, 1.01 * end], anchor=bottom, showgrid=False)
    return {"data": data, "layout": layout(_HEIGHT if len(panels) > 1 else 280, **axes)}


def _lanes(findings: Sequence[Mapping[str, Any]], progress: Progress) -> tuple[list[Figure], Figure]:
    end = int(progress.steps[-1]) if len(progress.steps) else 0
    lanes = []
    for i, finding in enumerate(findings):
        first = finding["first_step"]
        last = finding.get("last_step")
        last = max(first, end if last is None else last)
        severity = finding["severity"] if finding["severity"] in ("error", "warning", "info") else "info"
        lanes.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [first, last],
                "y": [-i, -i],
                "line": {"color": token(severity), "width": 5},
                "marker": {"color": token(severity), "size": 9, "symbol": "square"},
                "showlegend": False,
                "hovertemplate": f"{label(finding['code'])}, steps {first} to {last}<extra></extra>",
            }
        )
    shown = axis(
        tickvals=[-i for i in range(len(findings))],
        ticktext=[label(finding["code"]) for finding in findings],
        range=[0.6 - len(findings), 0.6],
        showgrid=False,
        zeroline=False,
    )
    return lanes, shown


def _loss(progress: Progress) -> tuple[list[Figure], Figure]:
    known = progress.loss[np.isfinite(progress.loss)]
    logarithmic = bool(known.size and known.min() > 0 and known.max() / known.min() > 30)
    values = decades(progress.loss) if logarithmic else progress.loss
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    spare = 0.06 * (high - low) or 0.5
    traces: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "loss",
            "x": progress.steps.tolist(),
            "y": numbers(values, 6),
            "customdata": numbers(progress.loss, 6),
            "line": {"color": token("series"), "width": 1.6},
            "showlegend": False,
            "hovertemplate": "step %{x}<br>loss %{customdata}<extra></extra>",
        }
    ]
    if progress.loss_broken.any():
        broken = progress.steps[progress.loss_broken]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "loss is NaN or infinite",
                "x": broken.tolist(),
                "y": [high + spare] * len(broken),
                "marker": {"symbol": "x", "size": 8, "color": token("nonfinite")},
                "cliponaxis": False,
                "hovertemplate": "step %{x}<br>loss is not finite<extra></extra>",
            }
        )
    limits = [low - spare, high + spare]
    shown = log_axis(*limits, title=title("loss")) if logarithmic else axis(range=limits, title=title("loss"))
    return traces, shown


def _updates(progress: Progress) -> tuple[list[Figure], Figure]:
    lower, middle, upper = (decades(row) for row in progress.update_ratio)
    sick = None if progress.sick_ratio is None else decades(progress.sick_ratio)
    drawn = [values for values in (lower, middle, upper, sick) if values is not None]
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
        _ratio(steps, middle, "median weight matrix", token("series"), "solid"),
    ]
    if sick is not None:
        traces.append(_ratio(steps, sick, "median of layers with a finding", token("second"), "dash"))
    still = np.isneginf(middle if sick is None else sick)
    if still.any():
        traces.append(_still(progress.update_steps[still].tolist(), floor))
    return traces, log_axis(floor, high + spare, title=title("update ratio ‖ΔW‖ / ‖W‖"))


def _still(steps: list[int], floor: float) -> Figure:
    """Return marks at the panel's floor: zero has no logarithm."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "exactly zero: nothing moved",
        "x": steps,
        "y": [floor] * len(steps),
        "marker": {"symbol": "triangle-down", "size": 9, "color": token("second")},
        "cliponaxis": False,
        "hovertemplate": "step %{x}<br>the updates were exactly zero<extra></extra>",
    }


def _ratio(steps: list[int], logs: np.ndarray, name: str, colour: str, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": steps,
        "y": numbers(logs, 3),
        "line": {"color": colour, "width": 1.8, "dash": dash},
        "hovertemplate": f"step %{{x}}<br>{name}: 10<sup>%{{y}}</sup><extra></extra>",
    }
