"""The list of runs."""

from dash import dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.parts import Component, link
from livegrad.dashboard.shelf import Entry, Shelf
from livegrad.view.text import clean, shorten

_STATUS = {"live": "● live", "finished": "finished", "failed": "✗ failed", "stopped": "stopped early"}
_MOST, _TREATMENTS = 500, 100


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
    """The runs, the newest first, live ones marked; treatments with how many runs they made."""
    entries = shelf.entries()
    treatments = shelf.treatments()
    if not entries and not treatments:
        said = ["No run yet. Record one: ", html.Code("livegrad run train.py"), ". It appears here at once."]
        return html.P(said, className="calm")
    plain = [entry for entry in entries if entry.trial is None]
    parts: list[Component] = [_table(plain[:_MOST], prefix)] if plain else []
    if len(plain) > _MOST:
        parts.append(html.P(f"{len(plain) - _MOST:,} older runs are not listed.", className="calm"))
    if treatments:
        arms = {name: [e for e in entries if e.trial == name] for name in treatments[:_TREATMENTS]}
        items = [_treatment(name, runs, prefix) for name, runs in arms.items()]
        parts.append(html.Section([html.H2("Treatments"), html.Ul(items, className="arms")]))
    return html.Div(parts)


def _treatment(name: str, arms: list[Entry], prefix: str) -> Component:
    live = sum(entry.status == "live" for entry in arms)
    said = f" · {len(arms)} run{'s' if len(arms) != 1 else ''}" + (f", {live} of them live" if live else "")
    return html.Li([link(shorten(clean(name), 80), Address("treatment", name).link(prefix)), said])


def _table(entries: list[Entry], prefix: str) -> Component:
    heads = ("run", "command", "state", "steps", "compare")
    head = html.Thead(html.Tr([html.Th(words, scope="col") for words in heads]))
    newest = next((entry.id for entry in entries if entry.damage is None), "")
    body = [_row(entry, newest, prefix) for entry in entries]
    return html.Div(html.Table([head, html.Tbody(body)]), className="scroll runs", tabIndex="0")


def _row(entry: Entry, newest: str, prefix: str) -> Component:
    name = shorten(clean(entry.id), 60)
    shown = link(name, Address("run", entry.id).link(prefix)) if entry.damage is None else html.Span(name)
    other = Address("compare", a=entry.id, b=newest).link(prefix)
    steps = entry.steps if isinstance(entry.steps, int) else None
    state: Component = _STATUS.get(entry.status, clean(entry.status))
    if entry.damage is not None:
        state = [state, html.Span(shorten(clean(entry.damage), 500), className="why")]
    return html.Tr(
        [
            html.Th(shown, scope="row"),
            html.Td(html.Code(shorten(clean(entry.script), 70))),
            html.Td(state, className=entry.status if entry.status in _STATUS else "stopped"),
            html.Td("" if steps is None else f"{steps:,}", className="number"),
            html.Td(link("with the newest", other) if entry.id != newest and entry.damage is None else ""),
        ]
    )
