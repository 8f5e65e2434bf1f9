"""Profiles over depth: audibility, gradient and activation of every layer, at the first and last scan."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from livegrad.diagnose.number import short
from livegrad.view.depth import Depth
from livegrad.view.figures.style import (
    Figure,
    axis,
    decades,
    label,
    layout,
    log_axis,
    numbers,
    severities,
    stretches,
    title,
)
from livegrad.view.palette import token

_PANELS = (
    ("audibility", "audibility / output's"),
    ("gradient_rms", "gradient rms"),
    ("activation_rms", "activation rms"),
)
_GAP, _HEIGHT = 0.07, 620
# A label's share of the figure's width.
_LABEL_SHARE = 0.1


def profile(depth: Depth, worst: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Return the figure: three panels over the same depth, the input at the left and the output at the right.

    Stretches of layers with a finding are shaded through all panels.
    """
    scans = {depth.scans[-1].step: depth.scans[-1]}
    if len(depth.scans) > 1:
        scans = {depth.scans[0].step: depth.scans[0]} | scans
    data: list[Figure] = []
    axes: Figure = {"xaxis": _depth_axis(depth)}
    height = (1 - _GAP * (len(_PANELS) - 1)) / len(_PANELS)
    for i, (column, words) in enumerate(_PANELS):
        number = "" if i == 0 else str(i + 1)
        values = [
            depth.audibility_ratio(scan) if column == "audibility" else depth.column(scan, column)
            for scan in scans.values()
        ]
        low, high = _limits([decades(v) for v in values])
        top = 1 - i * (height + _GAP)
        axes[f"yaxis{number}"] = log_axis(low, high, title=title(words), domain=[max(0.0, top - height), top])
        for j, (step, scan) in enumerate(scans.items()):
            last = j == len(scans) - 1
            broken = depth.nonfinite(scan) if column != "activation_rms" else np.zeros(len(values[j]), bool)
            data += _lines(depth, values[j], broken, (low, high), f"y{number}", step, last, legend=i == 0)
    axes["xaxis"]["anchor"] = f"y{len(_PANELS)}"
    shapes, notes = _sick(depth, worst)
    return {"data": data, "layout": layout(_HEIGHT, shapes=shapes, annotations=notes, **axes)}


def _depth_axis(depth: Depth) -> Figure:
    names = depth.names
    chosen = sorted(set(np.linspace(0, len(names) - 1, min(len(names), 9)).round().astype(int).tolist()))
    return axis(
        title=title("depth: input at the left, output at the right"),
        tickvals=chosen,
        ticktext=[label(names[i], 16) for i in chosen],
        tickangle=-35 if max(map(len, names), default=0) > 4 else 0,
        range=[-0.5, len(names) - 0.5],
        showgrid=False,
    )


def _limits(logs: list[np.ndarray]) -> tuple[float, float]:
    """Return the panel's range in decades: all that was measured, and at least three decades of it."""
    known = np.concatenate([values[np.isfinite(values)] for values in logs])
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 1.0)
    spare = max(0.0, 3.0 - (high - low)) / 2 + 0.08 * (high - low) + 0.2
    return low - spare, high + spare


def _lines(
    depth: Depth,
    values: np.ndarray,
    broken: np.ndarray,
    limits: tuple[float, float],
    axis_name: str,
    step: int,
    last: bool,
    legend: bool,
) -> list[Figure]:
    """Return one scan's line, and marks at the panel's edge where a value has no place on it."""
    logs = decades(values)
    colour = token("series") if last else token("faint")
    place = list(range(len(logs)))
    words = [
        f"{label(layer.name, 60)} ({label(layer.type)})<br>{short(float(value))} at step {step}"
        for layer, value in zip(depth.layers, values, strict=True)
    ]
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if len(logs) <= 80 else "lines",
        "name": f"step {step}" + ("" if last else ", first scan"),
        "legendgroup": str(step),
        "showlegend": legend,
        "x": place,
        "y": numbers(logs, 3),
        "yaxis": axis_name,
        "text": words,
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": colour, "width": 2.2 if last else 1.4, "dash": "solid" if last else "dot"},
        "marker": {"size": 5, "color": colour},
    }
    edges = (
        (np.isneginf(logs), limits[0], "triangle-down", "exactly zero", token("ink")),
        (broken | np.isinf(values), limits[1], "x", "NaN or infinity", token("nonfinite")),
    )
    return [line] + [
        {
            "type": "scatter",
            "mode": "markers",
            "name": said,
            "legendgroup": said,
            "showlegend": legend and last,
            "x": [i for i in place if where[i]],
            "y": [at] * int(where.sum()),
            "yaxis": axis_name,
            "cliponaxis": False,
            "text": [f"{words[i]}<br>{said}" for i in place if where[i]],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {"symbol": symbol, "size": 9, "color": mark},
        }
        for where, at, symbol, said, mark in edges
        if where.any()
    ]


def _sick(depth: Depth, worst: Mapping[str, Mapping[str, Any]]) -> tuple[list[Figure], list[Figure]]:
    """Return the shading of layers with a finding, and labels: each finding's once, where there is room."""
    names = depth.names
    shapes: list[Figure] = []
    notes: list[Figure] = []
    named: set[str] = set()
    for first, last, severity in stretches(severities(names, worst)):
        shapes.append(
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": first - 0.5,
                "x1": last + 0.5,
                "y0": 0,
                "y1": 1,
                "fillcolor": token("sick"),
                "line": {"width": 0},
                "layer": "below",
            }
        )
        codes = {str(worst[name]["code"]) for name in names[first : last + 1] if name in worst} - named
        if not codes or (notes and first - 0.5 - notes[-1]["x"] < _LABEL_SHARE * len(names)):
            continue
        named |= codes
        sign = "✗" if severity == "error" else "▲"
        notes.append(
            {
                "xref": "x",
                "yref": "paper",
                "x": first - 0.5,
                "y": 1,
                "xanchor": "left",
                "yanchor": "top",
                "showarrow": False,
                "text": f"<b>{sign} {label(' '.join(sorted(codes)[:3]))}</b>",
                "font": {"color": token(severity), "size": 12},
            }
        )
    return shapes, notes
