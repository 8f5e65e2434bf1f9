"""Brackets over the stretches of a flow that findings name, and each finding's code over its first one."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from livegrad.view.figures.style import Figure, label
from livegrad.view.flow import Node
from livegrad.view.palette import token

# The share of the figure's width that a finding's label needs.
_LABEL_SHARE = 0.16
# How far a bracket lies under the top, and how long its ends are.
_UNDER, _END = 0.28, 0.08


def brackets(nodes: Sequence[Node], floor: float, top: float) -> tuple[list[Figure], list[Figure]]:
    """The shapes and the labels, for a figure from `floor` to `top` with node i at x = i."""
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
        shapes += _bracket(first, last, floor, top - _UNDER, token(finding["severity"]))
        if code not in named and first >= free_from:
            named.add(code)
            free_from = first + _LABEL_SHARE * len(nodes)
            to_the_left = first > 0.4 * len(nodes)
            notes.append(_label(finding, last if to_the_left else first, top, to_the_left))
    return shapes, notes


def _code(node: Node) -> str:
    return str(node.row.finding["code"]) if node.row.finding is not None and node.severity else ""


def _bracket(first: float, last: float, floor: float, y: float, colour: str) -> list[Figure]:
    return [
        _line(first, last, y, y, colour),
        *(_line(end, end, y - _END, y, colour) for end in (first, last)),
        {
            "type": "rect",
            "x0": first,
            "x1": last,
            "y0": floor,
            "y1": y,
            "fillcolor": token("sick"),
            "line": {"width": 0},
            "layer": "below",
        },
    ]


def _label(finding: Any, x: float, top: float, to_the_left: bool) -> Figure:
    sign = "✗" if finding["severity"] == "error" else "▲"
    return {
        "name": "finding",
        "x": x,
        "y": top - 0.26,
        "xanchor": "right" if to_the_left else "left",
        "yanchor": "bottom",
        "showarrow": False,
        "align": "left",
        "text": f"<b>{sign} {label(finding['code'])}</b> {label(finding['name'], 40)}",
        "font": {"color": token(finding["severity"]), "size": 13},
    }


def _line(x0: float, x1: float, y0: float, y1: float, colour: str) -> Figure:
    return {
        "type": "line",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "line": {"color": colour, "width": 2},
    }
