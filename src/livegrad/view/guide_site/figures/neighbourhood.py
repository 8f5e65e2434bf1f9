"""A page among the pages that the graph of concepts joins to it."""

from livegrad.guide.page import Page
from livegrad.guide.pages import Guide
from livegrad.view.figures.drawing import Drawing
from livegrad.view.figures.style import layout
from livegrad.view.guide_site.figures.drawing import drawing
from livegrad.view.palette import token

# Relation -> column: what brings it about on the left, what helps on the right.
_COLUMNS = {
    "causes": -1.0, "forms": -1.0, "treats": -1.0, "no help against": -1.0,
    "leads to": 1.0, "treated by": 1.0, "not helped by": 1.0, "form of": 1.0, "related": 1.0,
}  # fmt: skip
_LABELS = {-1: "middle left", 0: "top center", 1: "middle right"}
COLOURS = {"finding": "second", "remedy": "series", "term": "muted"}
SYMBOLS = {"finding": "diamond", "remedy": "square", "term": "circle"}


def neighbourhood(page: Page, guide: Guide) -> Drawing:
    """The page in the middle, its neighbours on both sides, each a way to its own page."""
    groups = guide.neighbours(page)
    placed: list[tuple[Page, str, float]] = []
    for relation, pages in groups.items():
        placed += [(other, relation, _COLUMNS[relation]) for other in pages]
    left = [p for p in placed if p[2] < 0]
    right = [p for p in placed if p[2] > 0]
    if not left and len(right) > 5:
        left, right = [(p, r, -1.0) for p, r, _ in right[::2]], right[1::2]
    spots = [(p, r, x, _height(i, len(side))) for side in (left, right) for i, (p, r, x) in enumerate(side)]
    arrows = {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip",
        "line": {"color": token("line"), "width": 1.5},
        "x": [v for _, _, x, _ in spots for v in (0.0, x, None)],
        "y": [v for _, _, _, y in spots for v in (0.0, y, None)],
    }  # fmt: skip
    shown = [(page, "this page", 0.0, 0.0), *spots]
    dots = {
        "type": "scatter", "mode": "markers+text",
        "x": [x for _, _, x, _ in shown], "y": [y for _, _, _, y in shown],
        "text": [p.name.removeprefix("Remedy ") for p, _, _, _ in shown],
        "customdata": [p.id for p, _, _, _ in shown],
        "hovertext": [f"{r}: {p.name}" for p, r, _, _ in shown], "hoverinfo": "text", "cliponaxis": False,
        "textposition": [_LABELS[(x > 0) - (x < 0)] for *_, x, _ in shown],
        "textfont": {"color": token("ink"), "size": 12},
        "marker": {"size": [18, *[12] * len(spots)], "symbol": [SYMBOLS[p.kind] for p, _, _, _ in shown],
                   "color": [token(COLOURS[p.kind]) for p, _, _, _ in shown]},
    }  # fmt: skip
    tall = max(260, 30 * max(len(left), len(right)) + 80)
    said = "; ".join(f"{r}: {', '.join(p.name for p in pages)}" for r, pages in groups.items())
    return drawing(
        "Where it stands among its neighbours",
        f"Diamonds are findings, squares remedies, circles terms; a click opens the page. "
        f"{said[:1].upper()}{said[1:]}.",
        [arrows, dots],
        layout(
            tall, showlegend=False, margin={"l": 8, "r": 8, "t": 24, "b": 8},
            xaxis={"visible": False, "range": [-2.2, 2.2], "fixedrange": True},
            yaxis={"visible": False, "range": [-1.15, 1.25], "fixedrange": True},
        ),
    )  # fmt: skip


def _height(place: int, count: int) -> float:
    return 0.0 if count == 1 else 1.0 - 2.0 * place / (count - 1)
