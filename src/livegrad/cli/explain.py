"""`livegrad explain`: the field guide in the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from livegrad.guide.lookup import Hit
    from livegrad.guide.page import Page
    from livegrad.guide.pages import Guide

EPILOG = """\b
Examples:
  livegrad explain                          what there is, by kind
  livegrad explain remedies                 one kind, a line a page (findings, remedies, terms)
  livegrad explain LG101                    a finding: what, why, how it is decided, what helps
  livegrad explain He initialization        a term, in any case; no quotes needed
  livegrad explain --search loss scale      the pages that hold these words
  livegrad explain clip --json | jq -r .pages[].text
"""


@click.command(epilog=EPILOG, short_help="A finding, a remedy or a term, explained.")
@click.argument("term", metavar="[CODE|TERM...]", nargs=-1)
@click.option(
    "--search", "searched", is_flag=True, help="Take the words as a search through every page's text."
)
@click.option("--list", "listed", is_flag=True, help="One line per page: id, kind, title, summary.")
@click.option("--json", "as_json", is_flag=True, help="Print the pages as one JSON document.")
def explain(term: tuple[str, ...], searched: bool, listed: bool, as_json: bool) -> None:
    """Explain a finding, a remedy or a term: what it is, why it happens, what helps and what does not.

    Without a term, list what there is. Needs neither a run nor torch.
    """
    from livegrad.guide.lookup import search
    from livegrad.guide.pages import load_guide

    guide = load_guide()
    if searched:
        _need_words(term)
        hits = search(guide, term)
        if not hits:
            _not_found(guide, term, "no page holds")
        pages = [hit.page for hit in hits]
    else:
        hits = []
        pages = _asked(guide, term) if term else list(guide)
    index = not term or _kind(term) is not None
    if as_json:
        _write_json(guide, pages, text=not index and not searched)
    elif listed:
        for page in pages:
            click.echo("\t".join((page.id, page.kind, page.title, page.summary)))
    else:
        _show(guide, pages, hits, _kind(term) or "all" if index else None)


def _need_words(term: tuple[str, ...]) -> None:
    if not any(word.strip() for word in term):
        raise click.UsageError("--search needs words to look for: livegrad explain --search loss scale")


def _kind(term: tuple[str, ...]) -> str | None:
    """The kind of page that is asked for as such: "remedies"."""
    return {"findings": "finding", "remedies": "remedy", "terms": "term"}.get(" ".join(term).casefold())


def _asked(guide: Guide, term: tuple[str, ...]) -> list[Page]:
    """The page that all words together name, or else the pages that each of them names."""
    from livegrad.guide.lookup import find

    kind = _kind(term)
    if kind is not None:
        return guide.of_kind(kind)
    whole = find(guide, " ".join(term))
    if whole is not None:
        return [whole]
    each = [page for word in term if (page := find(guide, word)) is not None]
    if len(term) > 1 and len(each) == len(term):
        return list(dict.fromkeys(each))
    _not_found(guide, term, "the guide has no page")
    raise AssertionError


def _not_found(guide: Guide, term: tuple[str, ...], said: str) -> None:
    from livegrad.errors import UsageError
    from livegrad.guide.lookup import search, suggest

    asked = " ".join(term)
    hits = search(guide, term)
    # From this score on a page is called so, or asked for so, and does not only say the words.
    near = [hit.page for hit in hits[:3] if hit.score >= 3.0] or suggest(guide, asked)
    if near:
        hint = f"Did you mean {_listed([page.title for page in near], 'or')}?"
    elif hits:
        hint = f"It is mentioned in {_listed([hit.page.title for hit in hits[:3]], 'and')}."
    else:
        hint = "livegrad explain lists what there is."
    raise UsageError(f"{said} {asked!r}. {hint}")


def _listed(names: list[str], last: str) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def _write_json(guide: Guide, pages: list[Page], text: bool) -> None:
    from livegrad import __version__

    document: dict[str, Any] = {
        "schema": 1,
        "livegrad": __version__,
        "pages": [_document(guide, page, text) for page in pages],
    }
    if len(pages) == len(guide):
        document["edges"] = [vars(edge) for edge in guide.edges()]
    click.echo(json.dumps(document, indent=2, ensure_ascii=True))


def _document(guide: Guide, page: Page, text: bool) -> dict[str, Any]:
    values = page.to_dict()
    neighbours = guide.neighbours(page) if text else {}
    values["neighbours"] = {
        name.replace(" ", "_"): [other.id for other in pages] for name, pages in neighbours.items()
    }
    if not text:
        del values["text"], values["neighbours"]
    return values


def _show(guide: Guide, pages: list[Page], hits: list[Hit], index: str | None) -> None:
    from livegrad.cli.own_console import own_console
    from livegrad.view.guide_page import render_hits, render_index, render_list, render_page

    console = own_console(stderr=False)
    if hits:
        render_hits(hits, console)
    elif index == "all":
        render_index(guide, console)
    elif index is not None:
        render_list(pages, console)
    for number, page in enumerate(() if hits or index else pages):
        if number:
            console.print()
        render_page(guide, page, console)
