"""Building the site: every page, an index, the graph of concepts, and what they share."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from livegrad import __version__
from livegrad.errors import LivegradError, UsageError
from livegrad.guide.lookup import ranking
from livegrad.guide.page import DOMAINS, KINDS, LEVELS, Page
from livegrad.guide.pages import Guide, load_guide
from livegrad.guide.ranking import BEGINNING, ENDINGS, HALF, LEAST_KNOWN, LEAST_OF_BEST, MEANT, SMALL
from livegrad.view.figures.drawing import Drawing
from livegrad.view.guide_site.concepts import concept_graph
from livegrad.view.guide_site.figures import figure_of
from livegrad.view.guide_site.text import to_html
from livegrad.view.palette import DARK, LIGHT, style_variables
from livegrad.view.plotly_bundle import library

ASSETS = ("guide.css", "guide.js", "guide_search.js", "guide_theme.js")
_KINDS = {"finding": "Findings", "remedy": "Remedies", "term": "Terms"}


def write_site(folder: Path) -> int:
    """Write the whole site into `folder`, made if it is not there, and return the number of its pages.

    Raises UsageError where the folder cannot be written or holds other things.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder for the guide: livegrad guide --html guide")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "guide.js").is_file():
        raise UsageError(f"{folder} holds other files; name a new folder for the guide")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names():
            (folder / name).write_bytes(content(name))
    except OSError as error:
        raise UsageError(
            f"the guide cannot be written to {str(folder)!r}: {error.strerror}. Name another folder."
        ) from error
    return len(load_guide())


def names() -> list[str]:
    """Return the names of all files of the site."""
    pages = [f"{page.id}.html" for page in load_guide()]
    # Assets first: a folder left half written is known again.
    return [*ASSETS, "pages.js", "plotly.js", "index.html", "graph.html", *pages]


@cache
def content(name: str) -> bytes:
    """Return one file of the site. Raises KeyError for any other name."""
    if name not in names():
        raise KeyError(name)
    if name == "plotly.js":
        return library()
    if name == "pages.js":
        pages, rules = _script(_index(load_guide())), _script(_rules())
        return f"window.livegradPages = {pages};\nwindow.livegradRules = {rules};\n".encode()
    if name in ASSETS:
        text = files("livegrad.view").joinpath("templates", "guide", name).read_text(encoding="utf-8")
        return text.encode()
    guide = load_guide()
    if name == "index.html":
        return _render("index.html.j2", guide, letters=_letters(guide)).encode()
    if name == "graph.html":
        drawing = concept_graph(guide)
        return _render("graph.html.j2", guide, drawing=drawing, figure=_figure(drawing)).encode()
    page = guide[name.removesuffix(".html")]
    drawing = figure_of(page, guide)
    beginning, heading, rest = to_html(page).partition("<h2")
    return _render(
        "page.html.j2", guide, page=page, beginning=beginning, rest=heading + rest, drawing=drawing,
        figure=_figure(drawing), neighbours=guide.neighbours(page),
    ).encode()  # fmt: skip


def _render(template: str, guide: Guide, **values: Any) -> str:
    loader = PackageLoader("livegrad.view", "templates/guide")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(("j2",)), trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(
        guide=guide, kinds=_KINDS, kind_names=KINDS, domains=DOMAINS, levels=LEVELS, version=__version__,
        light=style_variables(LIGHT), dark=style_variables(DARK),
        palettes=_script({"light": LIGHT, "dark": DARK}), **values,
    )  # fmt: skip


def _figure(drawing: Drawing) -> str:
    return _script(drawing.plot)


def _script(value: Any) -> str:
    """JSON that may stand inside a script element."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise LivegradError("a figure of the guide holds a number that is not finite") from error
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _letters(guide: Guide) -> dict[str, list[Page]]:
    """All pages by their first letter."""
    found: dict[str, list[Page]] = {}
    for page in sorted(guide, key=lambda p: p.name.casefold()):
        found.setdefault(page.name[0].upper(), []).append(page)
    return found


def _index(guide: Guide) -> list[dict[str, Any]]:
    """What the search needs of every page."""
    entries = {entry.id: entry for entry in ranking(guide).entries}
    return [
        {
            "id": page.id, "title": page.title, "kind": page.kind, "domain": page.domain, "level": page.level,
            "names": entries[page.id].names, "asked": page.asked, "summary": page.summary,
            "words": entries[page.id].words,
        }
        for page in guide
    ]  # fmt: skip


def _rules() -> dict[str, Any]:
    """What the search is told of words, once for Python and the browser."""
    return {
        "small": sorted(SMALL), "meant": MEANT, "endings": ENDINGS, "beginning": BEGINNING, "half": HALF,
        "leastKnown": LEAST_KNOWN, "leastOfBest": LEAST_OF_BEST,
    }  # fmt: skip
