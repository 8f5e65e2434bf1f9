"""The graph of concepts in three dimensions: what brings about what, and what helps."""

from typing import Any

import networkx
import numpy as np

from livegrad.guide.pages import Guide
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import layout
from livegrad.view.guide_site.figures.drawing import drawing
from livegrad.view.guide_site.figures.neighbourhood import COLOURS, SYMBOLS
from livegrad.view.palette import token

_RELATIONS = {
    "causes": ("causes", "second", 3.0),
    "treats": ("treats", "series", 3.0),
    "fails": ("tried in vain", "faint", 2.0),
    "form": ("is a form of", "quiet", 1.5),
    "related": ("related", "faint", 1.0),
}
# Along the first axis: causes, then findings, then remedies.
_PLACES = {"cause": -1.0, "term": -0.35, "finding": 0.0, "form": 0.6, "remedy": 1.0}


def concept_graph(guide: Guide) -> Drawing:
    """All pages, causes on one side, findings in the middle, remedies on the other."""
    spots = _layout(guide)
    data = [_edges(guide, spots, relation) for relation in _RELATIONS]
    for kind, plural in (("finding", "findings"), ("remedy", "remedies"), ("term", "terms")):
        pages = guide.of_kind(kind)
        data.append({
            "type": "scatter3d", "mode": "markers+text", "name": plural,
            **{axis: [spots[p.id][i] for p in pages] for i, axis in enumerate("xyz")},
            "text": [p.name.removeprefix("Remedy ") if kind != "term" else "" for p in pages],
            "customdata": [p.id for p in pages],
            "hovertext": [p.title for p in pages], "hoverinfo": "text",
            "textfont": {"color": token("ink"), "size": 11},
            "marker": {"size": 5 if kind == "term" else 8, "symbol": SYMBOLS[kind],
                       "color": token(COLOURS[kind])},
        })  # fmt: skip
    hidden = {"visible": False, "showspikes": False}
    scene = {
        "xaxis": hidden, "yaxis": hidden, "zaxis": hidden, "aspectmode": "cube",
        "camera": {"eye": {"x": 0.1, "y": -1.35, "z": 0.4}}, "dragmode": "orbit",
    }  # fmt: skip
    return drawing(
        "From causes over findings to remedies",
        "Drag to turn, scroll to fly nearer, click a mark to open its page; the list flies to one. "
        "Causes lie on the "
        "left, findings in the middle, remedies on the right.",
        data,
        layout(680, scene=scene, margin={"l": 0, "r": 0, "t": 0, "b": 40}),
    )


def _layout(guide: Guide) -> dict[str, list[float]]:
    graph = networkx.Graph()
    graph.add_nodes_from(page.id for page in guide)
    for edge in guide.edges():
        graph.add_edge(edge.source, edge.target, weight=0.4 if edge.relation == "related" else 1.0)
    found = networkx.spring_layout(graph, dim=3, seed=7, iterations=120, k=0.35)
    causes = {edge.source for edge in guide.edges() if edge.relation == "causes"}
    forms = {edge.source for edge in guide.edges() if edge.relation in ("form", "treats")}
    roles: dict[str, list[str]] = {}
    for page in guide:
        of_term = "cause" if page.id in causes else "form" if page.id in forms else "term"
        roles.setdefault(of_term if page.kind == "term" else page.kind, []).append(page.id)
    spots = {}
    for role, ids in roles.items():
        apart = np.stack([_spread([float(found[id][axis]) for id in ids]) for axis in (1, 2)], axis=1)
        for id, (across, up) in zip(ids, apart, strict=True):
            near = 0.3 * np.asarray(found[id][1:]) + 0.7 * np.array([across, up])
            along = _PLACES[role] + 0.15 * float(found[id][0])
            spots[id] = [round(float(value), 3) for value in (along, near[0], near[1])]
    return spots


def _spread(values: list[float]) -> np.ndarray:
    """Ranks over [-1, 1] instead of distances: what crowds is drawn apart, neighbours stay neighbours."""
    return 2 * np.argsort(np.argsort(values)) / max(1, len(values) - 1) - 1


def _edges(guide: Guide, spots: dict[str, list[float]], relation: str) -> dict[str, Any]:
    name, colour, width = _RELATIONS[relation]
    joined = [e for e in guide.edges() if e.relation == relation]
    columns = {
        axis: [v for e in joined for v in (spots[e.source][i], spots[e.target][i], None)]
        for i, axis in enumerate("xyz")
    }
    return {
        "type": "scatter3d", "mode": "lines", "name": name, "hoverinfo": "skip", **columns,
        "line": {"color": token(colour), "width": width}, "opacity": 0.5 if relation == "related" else 0.7,
    }  # fmt: skip
