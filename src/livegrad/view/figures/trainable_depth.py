"""How deep a plain network trains, over its weight variance: theory's scales, and what is left of the
gradient.
"""

from collections.abc import Sequence

import numpy as np

from livegrad.theory.correlation_map import TRAINABLE_SCALES, Phase
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.stipple import stipple
from livegrad.view.figures.style import Figure, axis, label, layout, log_axis, numbers, title
from livegrad.view.palette import token

_HEIGHT, _REACH, _ROWS = 480, 6.0, 60


def trainable_depth(
    activation: str,
    weight: np.ndarray,
    phases: Sequence[Phase],
    bias_variance: float,
    deepest: int,
    measured: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Drawing:
    """Return the figure over σ_w² (W,), phases of the same length.

    measured: σ_w² (M,), depths (M,) and the share learnt (M,), between 0 and 1, of networks really trained.
    """
    name = label(activation)
    caption = (
        f"Background: decades by which the gradient falls (blue) or grows (orange, dotted) over so many "
        f"layers, ½ L log10 χ₁, at σ_b² = {bias_variance:g}. ξ_c: the layers in which the likeness of two "
        "inputs approaches its limit by a factor e; under 6 ξ_c such networks were seen to train (Schoenholz "
        "et al. 2017)."
    )
    if measured is not None:
        caption += " Dots: networks really trained, filled as far as they learnt."
    plot = _plot(weight, phases, deepest, measured)
    return Drawing(f"Trainable depth of {name} networks over σ_w²", caption, plot)


def _plot(
    weight: np.ndarray,
    phases: Sequence[Phase],
    deepest: int,
    measured: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> Figure:
    top = float(np.log10(deepest))
    depth = np.linspace(0.0, top, _ROWS)
    decades = np.array([0.5 * np.log10(max(phase.chi, 1e-300)) for phase in phases])
    field = (10 ** depth[:, None]) * decades[None, :]
    scales = np.array([phase.correlation_scale for phase in phases])
    lengths = np.array([phase.length_scale for phase in phases])
    gradient = np.array([phase.gradient_scale for phase in phases])
    traces = [
        _field(weight, depth, field),
        *stipple(np.clip(field, -_REACH, _REACH), np.round(weight, 4), np.round(depth, 4).tolist(), _REACH),
        _scale(weight, TRAINABLE_SCALES * scales, top, "6 ξ_c: trains below it", "ink", "solid", 3.0),
        _scale(weight, scales, top, "ξ_c: likeness of two inputs", "ink", "dash", 1.8),
        _scale(weight, gradient, top, "ξ_∇: gradient, squared, by e", "second", "dashdot", 1.8),
        _scale(weight, lengths, top, "ξ_q: size of the activations", "third", "dot", 2.2),
    ]
    if measured is not None:
        traces.append(_dots(*measured))
    return {
        "data": traces,
        "layout": layout(
            _HEIGHT,
            xaxis=axis(
                title=title("weight variance σ_w² = fan-in · Var W"),
                range=[float(weight[0]), float(weight[-1])],
                showgrid=False,
            ),
            yaxis=log_axis(0.0, top, title=title("depth L, layers"), showgrid=False),
        ),
    }


def _field(weight: np.ndarray, depth: np.ndarray, field: np.ndarray) -> Figure:
    names = ("quiet", "quieter", "even", "louder", "loud")
    return {
        "type": "heatmap",
        "x": numbers(weight, 4),
        "y": numbers(depth, 4),
        "z": numbers(np.clip(field, -99, 99), 2),
        "zmin": -_REACH,
        "zmax": _REACH,
        "zsmooth": "best",
        "colorscale": [[i / 4, token(name)] for i, name in enumerate(names)],
        "opacity": 0.75,
        "colorbar": {
            "thickness": 12,
            "outlinewidth": 0,
            "tickvals": [-6, -3, 0, 3, 6],
            "ticktext": ["≤ −6", "−3", "0", "+3", "≥ +6"],
            "tickfont": {"color": token("muted"), "size": 11},
            "title": {
                "text": "decades of<br>the gradient<br> ",
                "font": {"color": token("muted"), "size": 12},
            },
            "xpad": 8,
        },
        "hovertemplate": "σ_w² %{x}<br>10<sup>%{y}</sup> layers<br>%{z} decades<extra></extra>",
    }


def _scale(
    weight: np.ndarray, layers: np.ndarray, top: float, name: str, colour: str, dash: str, width: float
) -> Figure:
    with np.errstate(divide="ignore"):
        logs = np.log10(layers)
    # Off the picture at the top and the bottom, so that the line leaves it where it does.
    drawn = np.clip(logs, -1.0, top + 1.0)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": numbers(weight, 4),
        "y": numbers(drawn, 4),
        "customdata": ["∞" if not np.isfinite(value) else f"{value:.3g}" for value in layers],
        "line": {"color": token(colour), "dash": dash, "width": width},
        "hovertemplate": f"{name}<br>σ_w² %{{x}}<br>%{{customdata}} layers<extra></extra>",
    }


def _dots(weight: np.ndarray, depth: np.ndarray, learnt: np.ndarray) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "trained: share learnt",
        "x": numbers(weight, 4),
        "y": numbers(np.log10(depth), 4),
        "customdata": numbers(learnt, 3),
        "marker": {
            "size": 13,
            "color": numbers(learnt, 3),
            "cmin": 0,
            "cmax": 1,
            "colorscale": [[0, token("paper")], [1, token("ink")]],
            "line": {"width": 1.6, "color": token("ink")},
        },
        "hovertemplate": "σ_w² %{x}<br>learnt %{customdata}<extra></extra>",
    }
