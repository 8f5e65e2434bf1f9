"""The gradient's way through the network as a ribbon: as wide as the logarithm of what is left of it."""

from collections.abc import Sequence

import numpy as np

from livegrad.diagnose.number import count, short
from livegrad.view.figures.brackets import brackets
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.message import of_flow
from livegrad.view.figures.ribbon import arcs, ribbon, width
from livegrad.view.figures.style import Figure, axis, label, layout, power, title
from livegrad.view.flow import Flow, Node
from livegrad.view.palette import token

_HEIGHT, _NAMES, _VALUES = 380, 20, 9
_TOP, _FLOOR = 1.5, -1.1


def spine_flow(flow: Flow) -> Drawing:
    """Return the figure: the input at the left, the output at the right, where the gradient comes from."""
    low, high = flow.limits
    what = "gradient" if flow.measured == "gradient" else "audibility"
    folded = max(node.row.count for node in flow.nodes)
    caption = (
        f"What is left of the {what} on its way from the output (right) to the input (left). The ribbon's "
        f"width is logarithmic, from {_power_words(low)} of the output's (a thread) to {_power_words(high)}."
    )
    if any(node.severity for node in flow.nodes):
        caption += " Layers with a finding are hatched and named above."
    if any(node.paths for node in flow.nodes):
        caption += " Arcs are the ways through a block, the skip above and branches below, a fifth as wide."
    if folded > 1:
        caption += " Neighbours that behave alike are drawn as one."
    return Drawing(f"The {what}'s way through the network: {of_flow(flow)}", caption, _plot(flow))


def _plot(flow: Flow) -> Figure:
    nodes = flow.nodes
    widths = [width(node, flow.limits) for node in nodes]
    traces = [*ribbon(nodes, widths), *arcs(nodes, widths, flow.limits)]
    traces += [_knots(nodes, widths, flow.measured), _values(nodes)]
    shapes, notes = brackets(nodes, _FLOOR, _TOP)
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
            "color": [token(node.severity or "ink") for node in nodes],
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
    states = {
        "zero": f"the {measured} is exactly zero here",
        "broken": "NaN or infinity here",
        "unknown": "not measured here",
    }
    if node.state == "finite":
        span = f", {power(node.low)} … {power(node.high)}" if row.count > 1 else ""
        lines.append(f"{measured}: {power(node.decades)} of the output's{span}")
    else:
        lines.append(states[node.state])
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
        "text": [words.get(nodes[i].state) or power(nodes[i].decades) for i in chosen],
        "textposition": "middle center",
        "textfont": {"color": token("ink"), "size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


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
