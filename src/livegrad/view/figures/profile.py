"""Profiles over depth: audibility, gradient and activation of every layer, at the first and last scan."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from livegrad.diagnose.number import short
from livegrad.view.depth import Depth
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_depth
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
    thinned,
    title,
)
from livegrad.view.palette import token

PANELS = {
    "audibility": ("audibility", "audibility / output's"),
    "gradient": ("gradient_rms", "gradient rms"),
    "activation": ("activation_rms", "activation rms"),
}
_GAP_PIXELS, _PANEL_PIXELS, _AROUND = 34, 168, 90
_CAPTIONS = {
    "audibility": (
        "Audibility: how far the output moves, in its own unit, if a layer's activation is replaced by noise "
        "of equal size. Where it falls towards the input, the early layers cannot be heard, whatever the "
        "loss. "
    ),
    "gradient": "Gradient rms: of the loss, per entry of the layer's activation. ",
    "activation": "Activation rms: root mean square over samples and units. ",
}
# More layers than this are thinned for drawing: of each stretch its lowest and its highest are kept.
_MOST = 2000
# A label's share of the figure's width.
_LABEL_SHARE = 0.1


def profile(
    depth: Depth, worst: Mapping[str, Mapping[str, Any]], show: Sequence[str] = tuple(PANELS)
) -> Drawing:
    """Return the figure: a panel for each of `show` over the same depth, the input at the left and the output
    at the right.

    Stretches of layers with a finding are shaded through all panels.
    """
    words = " ".join(_CAPTIONS[name].strip() for name in show)
    shaded = " Layers with a finding are shaded." if any(severities(depth.names, worst)) else ""
    caption = f"A healthy network's curves stay level. {words}{shaded}"
    heading = "Profile over the depth" if len(show) > 1 else f"{show[0].capitalize()} over the depth"
    if "audibility" in show:
        heading = f"{heading}: {of_depth(depth)}"
    return Drawing(heading, caption, _plot(depth, worst, [PANELS[name] for name in show]))


def _plot(depth: Depth, worst: Mapping[str, Mapping[str, Any]], panels: Sequence[tuple[str, str]]) -> Figure:
    scans = {depth.scans[-1].step: depth.scans[-1]}
    if len(depth.scans) > 1:
        scans = {depth.scans[0].step: depth.scans[0]} | scans
    data: list[Figure] = []
    axes: Figure = {"xaxis": _depth_axis(depth)}
    pixels = _PANEL_PIXELS * len(panels) + _GAP_PIXELS * (len(panels) - 1)
    gap, height = _GAP_PIXELS / pixels, _PANEL_PIXELS / pixels
    for i, (column, words) in enumerate(panels):
        number = "" if i == 0 else str(i + 1)
        values = [
            depth.audibility_ratio(scan) if column == "audibility" else depth.column(scan, column)
            for scan in scans.values()
        ]
        low, high = _limits([decades(v) for v in values])
        top = 1 - i * (height + gap)
        axes[f"yaxis{number}"] = log_axis(low, high, title=title(words), domain=[max(0.0, top - height), top])
        for j, (step, scan) in enumerate(scans.items()):
            last = j == len(scans) - 1
            broken = depth.nonfinite(scan) if column != "activation_rms" else np.zeros(len(values[j]), bool)
            data += _lines(depth, values[j], broken, (low, high), f"y{number}", step, last, legend=i == 0)
    axes["xaxis"]["anchor"] = "y" if len(panels) == 1 else f"y{len(panels)}"
    shapes, notes = _sick(depth, worst)
    return {"data": data, "layout": layout(pixels + _AROUND, shapes=shapes, annotations=notes, **axes)}


def _depth_axis(depth: Depth) -> Figure:
    names = depth.names
    chosen = sorted(set(np.linspace(0, len(names) - 1, min(len(names), 9)).round().astype(int).tolist()))
    return axis(
        title=title("depth: input left, output right"),
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
    place = thinned(logs, _MOST)
    shown = [depth.layers[i] for i in place]
    words = [
        f"{label(layer.name, 60)} ({label(layer.type)})<br>{short(float(values[i]))} at step {step}"
        for i, layer in zip(place, shown, strict=True)
    ]
    line: Figure = {
        "type": "scatter",
        "mode": "lines+markers" if len(logs) <= 80 else "lines",
        "name": f"step {step}" + ("" if last else ", first scan"),
        "legendgroup": str(step),
        "showlegend": legend,
        "x": place,
        "y": numbers(logs[place], 3),
        "yaxis": axis_name,
        "text": words,
        "hovertemplate": "%{text}<extra></extra>",
        "line": {"color": colour, "width": 2.2 if last else 1.4, "dash": "solid" if last else "dot"},
        "marker": {"size": 5, "color": colour},
    }
    said = [f"{label(layer.name, 60)} at step {step}" for layer in depth.layers]
    marks = edge_marks(
        np.arange(len(logs)),
        np.isneginf(logs),
        broken | np.isinf(values),
        limits,
        words=said,
        legend=legend and last,
    )
    return [line, *[mark | {"yaxis": axis_name} for mark in marks]]


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
        to_the_left = first > 0.8 * len(names)
        notes.append(
            {
                "xref": "x",
                "yref": "paper",
                "x": last + 0.5 if to_the_left else first - 0.5,
                "y": 1,
                "xanchor": "right" if to_the_left else "left",
                "yanchor": "top",
                "showarrow": False,
                "text": f"<b>{sign} {label(' '.join(sorted(codes)[:3]))}</b>",
                "font": {"color": token(severity), "size": 12},
            }
        )
    return shapes, notes
