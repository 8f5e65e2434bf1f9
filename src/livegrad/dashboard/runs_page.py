"""The list of runs."""

from dash import dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.parts import Component, link
from livegrad.dashboard.shelf import Entry, Shelf
from livegrad.view.text import clean, shorten

_STATUS = {"live": "● live", "finished": "finished", "failed": "✗ failed", "stopped": "stopped early"}
_MOST = 500


def page(shelf: Shelf, prefix: str) -> Component:
    """The frame of the page; its rows are read again every two seconds."""
    return html.Div(
        [
            html.H1("Runs"),
            html.P(["in ", html.Code(clean(str(shelf.base)))], className="where"),
            html.Div(id="runs", children=rows(shelf, prefix)),
            dcc.Interval(id="runs-tick", interval=2000),
        ]
    )


def rows(shelf: Shelf, prefix: str) -> Component:
    """The runs, the newest first, live ones marked; treatments above their arms."""
    entries = shelf.entries()
    treatments = shelf.treatments()
    if not entries and not treatments:
        return html.P(["No run yet. Record one: ", html.Code("livegrad run train.py")], className="calm")
    plain = [entry for entry in entries if entry.trial is None]
    parts: list[Component] = [_table(plain[:_MOST], prefix)] if plain else []
    if len(plain) > _MOST:
        parts.append(html.P(f"{len(plain) - _MOST} older runs are not listed.", className="calm"))
    for name in treatments:
        arms = [entry for entry in entries if entry.trial == name]
        title = link(clean(name), Address("treatment", name).link(prefix))
        parts.append(html.Section([html.H2(["Treatment ", title]), _table(arms, prefix)]))
    return html.Div(parts)


def _table(entries: list[Entry], prefix: str) -> Component:
    heads = ("run", "command", "state", "steps", "compare")
    head = html.Thead(html.Tr([html.Th(words, scope="col") for words in heads]))
    newest = entries[0].id if entries else ""
    body = [_row(entry, newest, prefix) for entry in entries]
    return html.Div(html.Table([head, html.Tbody(body)]), className="scroll runs", tabIndex="0")


def _row(entry: Entry, newest: str, prefix: str) -> Component:
    name = shorten(clean(entry.id), 60)
    shown = link(name, Address("run", entry.id).link(prefix)) if entry.damage is None else html.Span(name)
    other = Address("compare", a=entry.id, b=newest).link(prefix)
    return html.Tr(
        [
            html.Th(shown, scope="row"),
            html.Td(html.Code(shorten(clean(entry.script), 70))),
            html.Td(
                _STATUS.get(entry.status, entry.status),
                className=entry.status,
                title=clean(entry.damage or ""),
            ),
            html.Td("" if entry.steps is None else f"{entry.steps:,}"),
            html.Td(link("with the newest", other) if entry.id != newest and entry.damage is None else ""),
        ]
    )
