"""A flow as a ribbon from the input to the output, and the ways through its blocks as arcs beside it."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from livegrad.view.figures.style import Figure, label, power
from livegrad.view.flow import Node, Path
from livegrad.view.palette import token

_THIN, _WIDE, _BETWEEN = 0.035, 1.0, 10
# An arc's width as a share of that of a ribbon through which as much comes.
_ARC = 0.2
_WAYS = {"identity": "skip", "tangle": "paths that cannot be taken apart"}


def width(node: Node, limits: tuple[float, float]) -> float:
    """The ribbon's width at a node, from a thread to 1; limits: the decades of the two."""
    if node.state == "broken":
        return _WIDE
    return _width_of(node.decades if node.state == "finite" else -math.inf, limits)


def ribbon(nodes: Sequence[Node], widths: Sequence[float]) -> list[Figure]:
    """The outlines over neighbouring nodes that look alike; widths: of each node."""
    alike = groupby(range(len(nodes)), key=lambda i: (nodes[i].state, nodes[i].severity))
    return [_stretch(list(part), widths, *look) for look, part in alike]


def arcs(nodes: Sequence[Node], widths: Sequence[float], limits: tuple[float, float]) -> Iterator[Figure]:
    """The ways through the blocks, over and under the ribbon: each as wide as what comes down it."""
    for place, node in enumerate(nodes[1:], start=1):
        for number, path in enumerate(sorted(node.paths, key=lambda path: path.kind != "identity")):
            height = 0.62 + 0.12 * (number // 2)
            yield _arc(node, path, place, 0.5 * widths[place], height, limits)


def _width_of(decades: float, limits: tuple[float, float]) -> float:
    if not math.isfinite(decades):
        return _THIN
    low, high = limits
    return _THIN + (_WIDE - _THIN) * max(0.0, decades - low) / (high - low)


def _stretch(places: Sequence[int], widths: Sequence[float], state: str, severity: str) -> Figure:
    """From half-way to the node before the first to half-way to the one behind the last."""
    first, last, total = places[0], places[-1], len(widths)
    x = np.linspace(max(first - 0.5, 0.0), min(last + 0.5, total - 1.0), _BETWEEN * (last - first + 1) + 1)
    if total == 1:
        x = np.array([-0.4, 0.4])
    half = _eased(x, widths) / 2
    colour, pattern = _paint(state, severity)
    dash = {"zero": "dash", "unknown": "dot"}.get(state, "solid")
    hatch = {
        "shape": pattern,
        "fgcolor": token(colour),
        "bgcolor": token("sick"),
        "size": 6,
        "solidity": 0.55,
    }
    return {
        **_outline(x, half, -half),
        "line": {"width": 1, "color": token(colour), "dash": dash},
        "fillcolor": None if pattern else token(colour),
        "fillpattern": hatch if pattern else None,
        "hoverinfo": "skip",
    }


def _arc(
    node: Node, path: Path, place: int, start: float, height: float, limits: tuple[float, float]
) -> Figure:
    """From the node before to this one, from `start` off the middle up to `height`; a skip's above it."""
    side = 1.0 if path.kind == "identity" else -1.0
    share = np.linspace(0, 1, 15)
    middle = side * (start + (height - start) * np.sin(np.pi * share))
    half = 0.5 * _ARC * _width_of(path.decades, limits)
    nothing = not math.isfinite(path.decades)
    left = "nothing comes down it" if nothing else f"{power(path.decades)} of the output's"
    way = _WAYS.get(path.kind, "branch")
    members = f"<br>{_some(path.layers)}" if path.layers else ""
    return {
        **_outline(place - 1 + share, middle + half, middle - half),
        "line": {"width": 1, "color": token("faint"), "dash": "dot" if nothing else "solid"},
        "fillcolor": token("band"),
        "hoveron": "fills",
        "text": f"{way} of {label(node.row.first['name'], 40)}: {left}{members}",
        "hoverinfo": "text",
    }


def _outline(x: np.ndarray, above: np.ndarray, below: np.ndarray) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "x": np.concatenate([x, x[::-1]]).round(3).tolist(),
        "y": np.concatenate([above, below[::-1]]).round(4).tolist(),
    }


def _paint(state: str, severity: str) -> tuple[str, str]:
    """The token of a stretch's colour and its pattern ("" for none)."""
    if state == "broken":
        return "nonfinite", "x"
    if state == "zero":
        return "zero", ""
    if state == "unknown":
        return "faint", ""
    return (severity, "/" if severity == "error" else "-") if severity else ("series", "")


def _eased(x: np.ndarray, widths: Sequence[float]) -> np.ndarray:
    """The ribbon's width between the nodes, without corners."""
    if len(widths) == 1:
        return np.full(len(x), widths[0])
    below = np.clip(np.floor(x).astype(int), 0, len(widths) - 2)
    share = x - below
    eased = (1 - np.cos(np.pi * share)) / 2
    table = np.asarray(widths)
    return table[below] * (1 - eased) + table[below + 1] * eased


def _some(names: Sequence[str]) -> str:
    shown = [label(name, 30) for name in names[:3]]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > 3 else "")
