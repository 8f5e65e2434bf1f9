"""Where in (σ_w², σ_b²) the gradients of wide plain networks vanish, pass or explode, by theory."""

import numpy as np

from livegrad.theory.phase_map import PhaseMap
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.gradient_heatmap import VIRIDIS
from livegrad.view.figures.style import Figure, axis, label, layout, numbers, title
from livegrad.view.palette import token

_HEIGHT = 460
# A depth beyond this is drawn as this: at criticality it has no end.
_DEEPEST = 1000.0
_REACH = 0.3


def trainability(found: PhaseMap, show: str = "gradient") -> Drawing:
    """Return the map: of the decades per layer, or of the trainable depth."""
    name = label(found.activation)
    line = (
        ""
        if not len(found.critical)
        else " On the solid line (χ₁ = 1) the gradient keeps its size at any depth."
    )
    if show == "gradient":
        caption = (
            f"What one layer of a wide plain {name} network does to the gradient's norm, ½ log10 χ₁ in "
            f"decades: blue, it vanishes (ordered phase); orange, it explodes (chaotic phase).{line} Theory, "
            "not a measurement."
        )
        heading = f"Trainability of {name} networks"
    else:
        caption = (
            f"Layers over which a wide plain {name} network trains, 6 ξ_c (Schoenholz et al. 2017), from "
            f"which two inputs can no longer be told apart.{line} Theory, not a measurement."
        )
        heading = f"Trainable depth of {name} networks"
    return Drawing(heading, caption, _plot(found, show))


def _plot(found: PhaseMap, show: str) -> Figure:
    traces = [_colours(found) if show == "gradient" else _depths(found)]
    inside = [p for p in found.critical if found.weight[0] <= p[0] <= found.weight[-1]]
    if inside:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines" if len(inside) > 1 else "markers",
                "name": "critical: χ₁ = 1",
                "x": numbers(np.array([p[0] for p in inside]), 4),
                "y": numbers(np.array([p[1] for p in inside]), 5),
                "line": {"color": token("ink"), "width": 3},
                "marker": {"color": token("ink"), "size": 11, "symbol": "star"},
                "showlegend": True,
                "cliponaxis": len(inside) > 1,
                "hovertemplate": "critical<br>σ_w² %{x}<br>σ_b² %{y}<extra></extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            _HEIGHT,
            xaxis=axis(
                title=title("weight variance σ_w² = fan-in · Var W"),
                showgrid=False,
                range=_ends(found.weight),
            ),
            yaxis=axis(title=title("bias variance σ_b²"), showgrid=False, range=_ends(found.bias)),
            annotations=_phases(found, show),
        ),
    }


def _ends(values: np.ndarray) -> list[float]:
    return [float(values[0]), float(values[-1])]


def _colours(found: PhaseMap) -> Figure:
    names = ("quiet", "quieter", "even", "louder", "loud")
    return {
        "type": "heatmap",
        "x": numbers(found.weight, 4),
        "y": numbers(found.bias, 5),
        "z": numbers(found.decades, 4),
        "zmin": -_REACH,
        "zmax": _REACH,
        "zsmooth": "best",
        "colorscale": [[i / 4, token(name)] for i, name in enumerate(names)],
        "colorbar": _bar("decades<br>per layer<br> "),
        "hovertemplate": "σ_w² %{x}<br>σ_b² %{y}<br>%{z} decades per layer<extra></extra>",
    }


def _depths(found: PhaseMap) -> Figure:
    depth = np.clip(found.depth if found.depth is not None else np.ones_like(found.decades), 1.0, _DEEPEST)
    return {
        "type": "heatmap",
        "x": numbers(found.weight, 4),
        "y": numbers(found.bias, 5),
        "z": numbers(np.log10(depth), 3),
        "zmin": 0.0,
        "zmax": float(np.log10(_DEEPEST)),
        "colorscale": [[share, colour] for share, colour in VIRIDIS],
        "colorbar": _bar("layers<br> ")
        | {"tickvals": [0, 1, 2, 3], "ticktext": ["1", "10", "100", "≥ 1000"]},
        "customdata": numbers(depth, 0),
        "hovertemplate": "σ_w² %{x}<br>σ_b² %{y}<br>trains up to %{customdata} layers<extra></extra>",
    }


def _bar(words: str) -> Figure:
    return {
        "thickness": 12,
        "outlinewidth": 0,
        "tickfont": {"color": token("muted"), "size": 11},
        "title": {"text": words, "font": {"color": token("muted"), "size": 12}},
        "xpad": 8,
    }


def _phases(found: PhaseMap, show: str) -> list[Figure]:
    """Names of the phases, each in the middle of its area."""
    if show != "gradient":
        return []
    notes = []
    for words, cells in (
        ("ordered: vanishing", found.decades < -0.01),
        ("chaotic: exploding", found.decades > 0.01),
    ):
        if cells.mean() < 0.06:
            continue
        row, column = (np.median(places) for places in np.nonzero(cells))
        notes.append(
            {
                "x": float(np.interp(column, range(len(found.weight)), found.weight)),
                "y": float(np.interp(row, range(len(found.bias)), found.bias)),
                "text": f"<b>{words}</b>",
                "showarrow": False,
                "font": {"color": token("ink"), "size": 13},
                "bgcolor": token("paper"),
                "borderpad": 4,
                "opacity": 0.9,
            }
        )
    return notes
