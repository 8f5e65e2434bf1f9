"""Update turnover over the depth: in how many steps each weight matrix moves by its own size."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_turnovers
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
from livegrad.view.turnovers import Turnovers

_HEIGHT, _MOST, _NAMES = 360, 1200, 24


def turnover(found: Turnovers, worst: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Return the figure; the input is at the left."""
    caption = (
        "Steps in which the applied updates add up to a weight matrix's own size, ‖W‖/‖ΔW‖: the median over "
        f"the sampled steps, and their range. Over the dashed line ({count(found.steps)} steps, this run's "
        "length) a layer does not renew its weights while the run lasts."
    )
    return Drawing(f"Turnover of the weights: {of_turnovers(found)}", caption, _plot(found, worst))


def _plot(found: Turnovers, worst: Mapping[str, Mapping[str, Any]]) -> Figure:
    middle = decades(found.middle)
    ends = [decades(found.low), decades(found.high), middle]
    known = np.concatenate(
        [values[np.isfinite(values)] for values in [*ends, np.log10([max(found.steps, 1)])]]
    )
    low, high = float(known.min()), float(known.max())
    spare = 0.3 + 0.06 * (high - low)
    limits = (low - spare, high + spare)
    shown = thinned(middle, _MOST)
    never = np.isinf(found.middle)
    words = [
        f"{label(tensor, 60)}<br>median {short(float(m), 3)} steps<br>{short(float(a), 3)} … "
        f"{short(float(b), 3)}"
        for tensor, a, m, b in zip(found.tensors, found.low, found.middle, found.high, strict=True)
    ]
    found_here = severities(found.names, worst)
    sick = np.array([severity is not None for severity in found_here])
    traces = [
        _points(
            [i for i in shown if not sick[i]],
            found,
            middle,
            limits[1],
            words,
            "weight matrix",
            "series",
            "circle",
        ),
        _points(
            [i for i in shown if sick[i]],
            found,
            middle,
            limits[1],
            words,
            "of a layer with a finding",
            "second",
            "square",
        ),
    ]
    marks = edge_marks(
        np.arange(len(middle)),
        np.zeros(len(middle), bool),
        never,
        limits,
        names=("", "never: the update was exactly zero"),
        words=words,
    )
    return {
        "data": [trace for trace in traces if trace["x"]] + marks,
        "layout": layout(
            _HEIGHT,
            xaxis=_names(found),
            yaxis=log_axis(*limits, title=title("turnover, steps")),
            shapes=[*_sick(found_here), _length(found.steps)],
        ),
    }


def _points(
    chosen: list[int],
    found: Turnovers,
    middle: np.ndarray,
    top: float,
    words: list[str],
    name: str,
    colour: str,
    symbol: str,
) -> Figure:
    finite = [i for i in chosen if np.isfinite(middle[i])]
    # A range that reaches to "never" reaches to the top.
    up = np.where(np.isinf(found.high), top, decades(found.high)) - middle
    down = middle - np.where(found.low > 0, decades(found.low), middle)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": finite,
        "y": numbers(middle[finite], 3),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": numbers(up[finite], 3),
            "arrayminus": numbers(down[finite], 3),
            "width": 3 if len(middle) < 60 else 0,
            "thickness": 1.2,
            "color": token(colour),
        },
        "marker": {"size": 8 if len(middle) < 60 else 4, "symbol": symbol, "color": token(colour)},
        "text": [words[i] for i in finite],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _names(found: Turnovers) -> Figure:
    total = len(found.names)
    spots = sorted(set(np.linspace(0, total - 1, min(total, _NAMES)).round().astype(int).tolist()))
    return axis(
        title=title("weight matrices: input left, output right"),
        tickvals=spots,
        ticktext=[label(found.names[i], 16) for i in spots],
        tickangle=-40 if max(map(len, found.names)) > 4 else 0,
        ticklabeloverflow="allow",
        range=[-0.7, total - 0.3],
        showgrid=False,
    )


def _sick(found: list[str | None]) -> list[Figure]:
    return [
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
        for first, last, _ in stretches(found)
    ]


def _length(steps: int) -> Figure:
    at = float(np.log10(max(steps, 1)))
    return {
        "type": "line",
        "xref": "paper",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": at,
        "y1": at,
        "line": {"color": token("ink"), "width": 1.2, "dash": "dash"},
    }
