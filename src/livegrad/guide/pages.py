"""The field guide: every page, found by code, title or alias, and what leads from one to another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from livegrad.guide.page import KINDS, Page, parse

FOLDERS = ("findings", "remedies", "terms")


@dataclass(frozen=True)
class Edge:
    """One arrow of the graph of concepts, between ids of pages.

    relation: "causes" (source brings target about), "treats" (source helps against target), "fails" (source
    is tried against target in vain), "form" (source is a form of the remedy target) or "related" (no
    direction).
    """

    source: str
    relation: str
    target: str


class Guide:
    """All pages by id; findings first, then remedies, then terms, each in order of their titles."""

    def __init__(self, pages: Mapping[str, Page]):
        ordered = sorted(pages.values(), key=lambda page: (KINDS.index(page.kind), page.title.casefold()))
        self.pages: dict[str, Page] = {page.id: page for page in ordered}

    def __getitem__(self, id: str) -> Page:
        return self.pages[id]

    def __iter__(self) -> Iterator[Page]:
        return iter(self.pages.values())

    def __len__(self) -> int:
        return len(self.pages)

    def of_kind(self, kind: str) -> list[Page]:
        """Return the pages of one kind, in order."""
        return [page for page in self if page.kind == kind]

    def linked(self, page: Page) -> list[Page]:
        """Return the pages that a page's text links to, each once, in order."""
        by_path = {other.path: other for other in self}
        return [by_path[path] for path in dict.fromkeys(page.links) if path in by_path]

    def edges(self) -> list[Edge]:
        """Return the graph of concepts; related pages are joined once, whichever of them says so."""
        return list(self._edges)

    @cached_property
    def _edges(self) -> tuple[Edge, ...]:
        found: dict[Edge, None] = {}
        for page in self:
            found |= dict.fromkeys(Edge(cause, "causes", page.id) for cause in page.causes)
            found |= dict.fromkeys(Edge(page.id, "treats", finding) for finding in page.treats)
            found |= dict.fromkeys(Edge(page.id, "fails", finding) for finding in page.fails)
            if page.part_of:
                found[Edge(page.id, "form", page.part_of)] = None
            found |= dict.fromkeys(Edge(*_sorted(page.id, other)) for other in page.related)
        return tuple(found)

    def neighbours(self, page: Page) -> dict[str, list[Page]]:
        """Return what the graph joins to a page, by what it is to the page.

        Keys: "causes", "leads to", "treats", "treated by", "no help against", "not helped by", "form of",
        "forms", "related" (what no other relation says); only those that have pages.
        """
        names = {
            "causes": ("leads to", "causes"),
            "treats": ("treats", "treated by"),
            "fails": ("no help against", "not helped by"),
            "form": ("form of", "forms"),
            "related": ("related", "related"),
        }
        found: dict[str, dict[str, None]] = {}
        for edge in self._edges:
            onward, back = names[edge.relation]
            if edge.source == page.id:
                found.setdefault(onward, {})[edge.target] = None
            if edge.target == page.id:
                found.setdefault(back, {})[edge.source] = None
        joined = {id for name, ids in found.items() if name != "related" for id in ids}
        found["related"] = {id: None for id in found.get("related", ()) if id not in joined}
        return {
            name: [other for other in self if other.id in found[name]]
            for name in dict.fromkeys(name for pair in names.values() for name in pair[::-1])
            if found.get(name)
        }


def _sorted(one: str, other: str) -> tuple[str, str, str]:
    return min(one, other), "related", max(one, other)


@cache
def load_guide() -> Guide:
    """Return the guide that is installed with livegrad. Raises LivegradError where a page cannot be read."""
    root = files("livegrad.guide")
    pages = {}
    for folder in FOLDERS:
        for file in root.joinpath(folder).iterdir():
            if file.name.endswith(".md"):
                page = parse(f"{folder}/{file.name}", file.read_text(encoding="utf-8"))
                pages[page.id] = page
    return Guide(pages)
