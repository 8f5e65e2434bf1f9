"""The gradient's way through the network as a ribbon: as wide as the logarithm of what is left of it."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.message import of_flow
from livegrad.view.figures.style import Figure, axis, label, layout, title
from livegrad.view.flow import Flow, Node
from livegrad.view.palette import token

_HEIGHT, _NAMES, _VALUES = 380, 20, 9
_THIN, _WIDE, _BETWEEN = 0.035, 1.0, 10
_TOP, _FLOOR = 1.5, -1.1
# The share of the figure's width that a finding's label needs.
_LABEL_SHARE = 0.16


def spine_flow(flow: Flow) -> Drawing:
    """Return the figure: the input at the left, the output at the right, where the gradient comes from."""
    low, high = flow.limits
    what = "gradient" if flow.measured == "gradient" else "audibility"
    folded = max(node.row.count for node in flow.nodes)
    caption = (
        f"What is left of the {what} on its way from the output (right) to the input (left). The ribbon's "
        f"width is logarithmic, from {_power_words(low)} of the output's (a thread) to {_power_words(high)}."
    )
    if any(_look(node)[1] for node in flow.nodes):
        caption += " Layers with a finding are hatched and named above."
    if any(node.paths for node in flow.nodes):
        caption += " Arcs are the ways through a block, the skip above and branches below, a fifth as wide."
    if folded > 1:
        caption += " Neighbours that behave alike are drawn as one."
    return Drawing(f"The {what}'s way through the network: {of_flow(flow)}", caption, _plot(flow))


def _plot(flow: Flow) -> Figure:
    nodes = flow.nodes
    widths = [_width(node, flow.limits) for node in nodes]
    traces: list[Figure] = []
    for key, part in groupby(range(len(nodes)), key=lambda i: _look(nodes[i])):
        places = list(part)
        traces += _ribbon(places, widths, key, len(nodes), nodes)
    for i, node in enumerate(nodes[1:], start=1):
        traces += _paths(node, i, widths[i], flow.limits)
    traces += [_knots(nodes, widths, flow.measured), _values(nodes)]
    shapes, notes = _findings(nodes)
    spots, names = _names(nodes)
    return {
        "data": traces,
        "layout": layout(
            _HEIGHT if notes else _HEIGHT - 60,
            xaxis=axis(
                tickvals=spots,
                ticktext=names,
                tickangle=-40 if len(names) > 6 else 0,
                ticklabeloverflow="allow",
                showgrid=False,
                range=[-0.8, len(nodes) - 0.2],
                title=title("← the gradient flows from output to input"),
            ),
            yaxis=axis(range=[_FLOOR, _TOP + 0.1 if notes else 0.95], visible=False, fixedrange=True),
            shapes=shapes,
            annotations=notes,
            hovermode="closest",
            showlegend=False,
            margin={"l": 64, "r": 12, "t": 28, "b": 8, "autoexpand": True},
        ),
    }


def _width(node: Node, limits: tuple[float, float]) -> float:
    low, high = limits
    if node.state == "broken":
        return _WIDE
    if node.state != "finite":
        return _THIN
    return _THIN + (_WIDE - _THIN) * (node.decades - low) / (high - low)


def _look(node: Node) -> tuple[str, str]:
    """How a node's part of the ribbon is drawn: its state, and the severity of what was found there."""
    finding = node.row.finding
    severity = str(finding["severity"]) if finding is not None else ""
    return node.state, severity if severity in ("error", "warning") else ""


def _ribbon(
    places: Sequence[int],
    widths: Sequence[float],
    look: tuple[str, str],
    total: int,
    nodes: Sequence[Node],
) -> list[Figure]:
    """The outline over neighbouring nodes that look alike, from half-way to the one before to half-way to the
    next.
    """
    first, last = places[0], places[-1]
    x = np.linspace(max(first - 0.5, 0.0), min(last + 0.5, total - 1.0), _BETWEEN * (last - first + 1) + 1)
    if total == 1:
        x = np.array([-0.4, 0.4])
    half = _eased(x, widths) / 2
    state, severity = look
    colour, pattern = _paint(state, severity)
    dash = {"zero": "dash", "unknown": "dot"}.get(state, "solid")
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "fill": "toself",
            "x": np.concatenate([x, x[::-1]]).round(3).tolist(),
            "y": np.concatenate([half, -half[::-1]]).round(4).tolist(),
            "line": {"width": 1, "color": token(colour), "dash": dash},
            "fillcolor": token(colour) if not pattern else None,
            "fillpattern": {
                "shape": pattern,
                "fgcolor": token(colour),
                "bgcolor": token("sick"),
                "size": 6,
                "solidity": 0.55,
            }
            if pattern
            else None,
            "hoverinfo": "skip",
        }
    ]


def _paint(state: str, severity: str) -> tuple[str, str]:
    """The token of a ribbon's colour and its pattern ("" for none)."""
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


def _paths(node: Node, place: int, above: float, limits: tuple[float, float]) -> list[Figure]:
    """The ways through a block, as arcs over and under the ribbon: each as wide as what comes down it."""
    traces = []
    low, high = limits
    sides = {"identity": 1.0}
    for number, path in enumerate(sorted(node.paths, key=lambda p: p.kind != "identity")):
        side = sides.get(path.kind, -1.0)
        reach = 0.62 + 0.12 * (number // 2)
        nothing = not math.isfinite(path.decades)
        width = _THIN if nothing else _THIN + (_WIDE - _THIN) * max(0.0, path.decades - low) / (high - low)
        share = np.linspace(0, 1, 15)
        x = place - 1 + share
        arc = side * (0.5 * above + (reach - 0.5 * above) * np.sin(np.pi * share))
        half = 0.5 * 0.2 * width
        words = {"identity": "skip", "tangle": "paths that cannot be taken apart"}.get(path.kind, "branch")
        members = "" if not path.layers else f"<br>{_some(path.layers)}"
        left = "nothing comes down it" if nothing else f"{_power(path.decades)} of the output's"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "fill": "toself",
                "x": np.concatenate([x, x[::-1]]).round(3).tolist(),
                "y": np.concatenate([arc + half, (arc - half)[::-1]]).round(4).tolist(),
                "line": {"width": 1, "color": token("faint"), "dash": "dot" if nothing else "solid"},
                "fillcolor": token("band"),
                "hoveron": "fills",
                "text": f"{words} of {label(node.row.first['name'], 40)}: {left}{members}",
                "hoverinfo": "text",
            }
        )
    return traces


def _some(names: Sequence[str]) -> str:
    shown = [label(name, 30) for name in names[:3]]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > 3 else "")


def _knots(nodes: Sequence[Node], widths: Sequence[float], measured: str) -> Figure:
    """A line across the ribbon at every node, which also answers the pointer."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(range(len(nodes))),
        "y": [0.0] * len(nodes),
        "error_y": {
            "type": "data",
            "symmetric": True,
            "array": [round(w / 2, 4) for w in widths],
            "width": 0,
            "thickness": 1,
            "color": token("paper"),
        },
        "marker": {
            "size": 7,
            "symbol": [_SYMBOLS[node.state] for node in nodes],
            "color": [token(_look(node)[1] or "ink") for node in nodes],
            "line": {"width": 1, "color": token("paper")},
        },
        "text": [_hover(node, measured) for node in nodes],
        "hoverinfo": "text",
    }


_SYMBOLS = {"finite": "circle", "zero": "triangle-down", "broken": "x", "unknown": "circle-open"}


def _hover(node: Node, measured: str) -> str:
    row = node.row
    kinds = list(dict.fromkeys(str(layer["type"]) for layer in row.layers))
    lines = [f"<b>{_row_name(node, 50)}</b> ({label(', '.join(kinds[:3]), 40)})"]
    told = {
        "zero": f"the {measured} is exactly zero here",
        "broken": "NaN or infinity here",
        "unknown": "not measured here",
    }
    if node.state == "finite":
        span = f", {_power(node.low)} … {_power(node.high)}" if row.count > 1 else ""
        lines.append(f"{measured}: {_power(node.decades)} of the output's{span}")
    else:
        lines.append(told[node.state])
    if row.finding is not None:
        lines.append(f"{label(row.finding['code'])} {label(row.finding['name'], 40)}")
    if row.count == 1 and row.first.get("source"):
        lines.append(label(row.first["source"], 60))
    return "<br>".join(lines)


def _values(nodes: Sequence[Node]) -> Figure:
    """What is left, in words under the ribbon, at a few nodes."""
    chosen = sorted(
        set(np.linspace(0, len(nodes) - 1, min(len(nodes), _VALUES)).round().astype(int).tolist())
    )
    words = {"zero": "0", "broken": "NaN", "unknown": "?"}
    return {
        "type": "scatter",
        "mode": "text",
        "meta": "thin",
        "x": chosen,
        "y": [_FLOOR + 0.14] * len(chosen),
        "text": [words.get(nodes[i].state) or _power(nodes[i].decades) for i in chosen],
        "textposition": "middle center",
        "textfont": {"color": token("ink"), "size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _power(log: float) -> str:
    if abs(log) < 0.05:
        return "1"
    exponent = f"{log:.0f}" if abs(log) >= 9.5 else f"{log:.1f}"
    return f"10<sup>{exponent.replace('-', '−')}</sup>"


def _power_words(log: float) -> str:
    return "1" if abs(log) < 0.05 else short(10.0**log) if abs(log) < 300 else f"10 to the {log:.0f}"


def _row_name(node: Node, width: int) -> str:
    row = node.row
    if row.count == 1:
        return label(row.first["name"], width)
    half = max(width // 2, 8)
    return f"{label(row.first['name'], half)} … {label(row.last['name'], half)} ({count(row.count)})"


def _names(nodes: Sequence[Node]) -> tuple[list[int], list[str]]:
    """Which nodes are named below: all, or as many as fit."""
    spots = sorted(set(np.linspace(0, len(nodes) - 1, min(len(nodes), _NAMES)).round().astype(int).tolist()))
    texts = []
    for i in spots:
        row = nodes[i].row
        texts.append(
            label(row.first["name"], 16)
            if row.count == 1
            else f"{label(row.first['name'], 13)} … ({row.count})"
        )
    return spots, texts


def _findings(nodes: Sequence[Node]) -> tuple[list[Figure], list[Figure]]:
    """Brackets over the stretches that a finding names, and its code over the first of them."""
    shapes: list[Figure] = []
    notes: list[Figure] = []
    named: set[str] = set()
    free_from = -1.0
    for code, part in groupby(range(len(nodes)), key=lambda i: _code(nodes[i])):
        places = list(part)
        if not code:
            continue
        first, last = places[0] - 0.5, places[-1] + 0.5
        finding: Any = nodes[places[0]].row.finding
        colour = token(finding["severity"])
        shapes.append(_line(first, last, _TOP - 0.28, _TOP - 0.28, colour))
        shapes += [_line(end, end, _TOP - 0.36, _TOP - 0.28, colour) for end in (first, last)]
        shapes.append(
            {
                "type": "rect",
                "x0": first,
                "x1": last,
                "y0": _FLOOR,
                "y1": _TOP - 0.28,
                "fillcolor": token("sick"),
                "line": {"width": 0},
                "layer": "below",
            }
        )
        if code in named or first < free_from:
            continue
        named.add(code)
        free_from = first + _LABEL_SHARE * len(nodes)
        sign = "✗" if finding["severity"] == "error" else "▲"
        right = first > 0.6 * len(nodes)
        notes.append(
            {
                "x": last if right else first,
                "y": _TOP - 0.26,
                "xanchor": "right" if right else "left",
                "yanchor": "bottom",
                "showarrow": False,
                "align": "left",
                "text": f"<b>{sign} {label(code)}</b> {label(finding['name'], 40)}",
                "font": {"color": colour, "size": 13},
            }
        )
    return shapes, notes


def _code(node: Node) -> str:
    return str(node.row.finding["code"]) if node.row.finding is not None and _look(node)[1] else ""


def _line(x0: float, x1: float, y0: float, y1: float, colour: str) -> Figure:
    return {
        "type": "line",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"color": colour, "width": 2},
    }
