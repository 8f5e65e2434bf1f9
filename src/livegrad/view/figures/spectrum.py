"""The singular values of a Jacobian: each in its rank, and how they are distributed."""

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.theory.jacobian_moments import SquaredMoments
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.marks import edge_marks
from livegrad.view.figures.message import of_values
from livegrad.view.figures.style import Figure, axis, decades, layout, log_axis, numbers, thinned, title
from livegrad.view.palette import token

_HEIGHT, _MOST, _BINS, _SPLIT = 400, 1500, 36, 0.7


def spectrum(
    values: np.ndarray,
    errors: np.ndarray,
    shape: tuple[int, int],
    *,
    complete: bool,
    theory: SquaredMoments | None = None,
) -> Drawing:
    """Return the figure of the singular values (k,), descending.

    errors (k,): how far from each one surely lies. shape: (outputs, inputs). theory: of their squares.
    """
    outputs, inputs = shape
    n = min(shape)
    how = (
        "all singular values" if complete else f"{len(values)} Ritz values for {count(n)}, best at both ends"
    )
    caption = f"Jacobian of {count(outputs)} outputs by {count(inputs)} inputs, {how}. "
    caption += "Each says how much one direction of the input, or of the gradient coming back, is stretched."
    square = np.square(values[np.isfinite(values)])
    if complete and len(square) and theory is not None:
        mean = float(square.mean())
        spread = float(square.var() / mean**2) if mean > 0 else float("nan")
        caption += (
            f" Measured: rms {short(mean**0.5, 3)}, variance of s²/mean {short(spread, 3)}; theory of wide "
            f"layers: rms {short(theory.rms, 3)}, variance {short(theory.variance, 3)}."
        )
    return Drawing(
        f"Singular values of the Jacobian: {of_values(values)}",
        caption,
        _plot(values, errors, complete, theory),
    )


def _plot(values: np.ndarray, errors: np.ndarray, complete: bool, theory: SquaredMoments | None) -> Figure:
    # A Ritz value less sure than it is large is only known to have a singular value under it.
    vague = (errors > 0.5 * values) & np.isfinite(values)
    logs = decades(np.where(vague, values + errors, values))
    known = logs[np.isfinite(logs)]
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 0.0)
    low, high = min(low, -0.2), max(high, 0.2)
    spare = 0.2 + 0.06 * (high - low)
    limits = (low - spare, high + spare)
    rows = thinned(logs, _MOST)
    rank = np.arange(1, len(values) + 1)
    traces = [
        _points(values, np.where(vague, 0.0, errors), logs, [i for i in rows if not vague[i]], complete)
    ]
    traces += _bounds(logs, [i for i in rows if vague[i]])
    words = [f"number {i}" for i in rank]
    traces += edge_marks(rank, np.isneginf(logs), ~np.isfinite(values), limits, words=words)
    traces.append(_bars(known, limits))
    shapes = [_line(0.0, "solid", "line")]
    if theory is not None:
        shapes.append(_line(float(np.log10(theory.rms)), "dash", "second"))
        traces.append(_told("theory: rms of wide layers", "second", "dash"))
    if complete and known.size:
        mean = float(np.log10(np.sqrt(np.square(values[np.isfinite(values)]).mean())))
        shapes.append(_line(mean, "dot", "ink"))
        traces.append(_told("rms, measured", "ink", "dot"))
    return {
        "data": traces,
        "layout": layout(
            _HEIGHT,
            xaxis=axis(
                title=title("rank, the largest first"),
                domain=[0, _SPLIT],
                showgrid=False,
                range=[1 - 0.02 * len(values) - 0.5, 1.02 * len(values) + 0.5],
            ),
            xaxis2=axis(title=title("how many"), domain=[_SPLIT + 0.03, 1], anchor="y", rangemode="tozero"),
            yaxis=log_axis(*limits, title=title("singular value")),
            shapes=shapes,
            bargap=0.04,
        ),
    }


def _points(
    values: np.ndarray, errors: np.ndarray, logs: np.ndarray, rows: list[int], complete: bool
) -> Figure:
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.log10(values + errors) - logs
        down = logs - np.log10(np.maximum(values - errors, values * 1e-3))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "singular value" if complete else "Ritz value",
        "x": [i + 1 for i in rows],
        "y": numbers(logs[rows], 4),
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": numbers(up[rows], 4),
            "arrayminus": numbers(down[rows], 4),
            "width": 0,
            "thickness": 1.2,
            "color": token("series"),
            "visible": not complete,
        },
        "text": [
            short(float(values[i]), 4) + ("" if complete else f" ± {short(float(errors[i]), 2)}")
            for i in rows
        ],
        "marker": {"size": 6 if len(rows) < 200 else 4, "color": token("series")},
        "hovertemplate": "number %{x}<br>%{text}<extra></extra>",
    }


def _bounds(logs: np.ndarray, rows: list[int]) -> list[Figure]:
    if not rows:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "at most this",
            "x": [i + 1 for i in rows],
            "y": numbers(logs[rows], 4),
            "hovertemplate": "number %{x}<br>at most 10<sup>%{y}</sup><extra></extra>",
            "marker": {
                "symbol": "triangle-down-open",
                "size": 9,
                "color": token("second"),
                "line": {"width": 1.6},
            },
        }
    ]


def _bars(known: np.ndarray, limits: tuple[float, float]) -> Figure:
    number, edges = np.histogram(known, bins=_BINS, range=limits)
    return {
        "type": "bar",
        "orientation": "h",
        "name": "how many",
        "showlegend": False,
        "x": number.tolist(),
        "y": numbers((edges[:-1] + edges[1:]) / 2, 4),
        "width": float(edges[1] - edges[0]),
        "xaxis": "x2",
        "yaxis": "y",
        "marker": {"color": token("series"), "line": {"width": 0}},
        "hovertemplate": "%{x}<extra></extra>",
    }


def _line(at: float, dash: str, colour: str) -> Figure:
    return {
        "type": "line",
        "xref": "paper",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": at,
        "y1": at,
        "line": {"color": token(colour), "width": 1.6, "dash": dash},
        "layer": "below" if colour == "line" else "above",
    }


def _told(name: str, colour: str, dash: str) -> Figure:
    """A line of the legend for a shape."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [None],
        "y": [None],
        "name": name,
        "hoverinfo": "skip",
        "line": {"color": token(colour), "width": 1.6, "dash": dash},
    }
