"""A treatment: control and arms side by side, before and after, the change, and the runs of every arm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from livegrad.dashboard.address import Address
from livegrad.dashboard.drawings import pack
from livegrad.dashboard.figures import connect, place
from livegrad.dashboard.parts import Component, facts, link, table
from livegrad.dashboard.shelf import Shelf
from livegrad.dashboard.trials import is_inside, stamp, treatment_document
from livegrad.errors import LivegradError, RunError
from livegrad.run.reader import Run
from livegrad.view.text import clean, shorten
from livegrad.view.treatment import HEADS, diff_style, refusals
from livegrad.view.treatment_drawings import treatment_drawings
from livegrad.view.treatment_page import treatment_facts
from livegrad.view.treatment_table import NOTHING, is_refused, name_of, rows_of

FIGURES = {
    "losses": "Loss, without and with the remedies",
    "audibility": "Audibility over the depth, before and after",
    "gradient": "Gradient over the depth, before and after",
}
_HEALTH = {
    "healthy": "healthy", "improved": "healthy", "cured": "healthy", "relieved": "warning",
    "undecided": "warning",
}  # fmt: skip
_SIGNS = {"healthy": "✓", "warning": "▲", "unwell": "✗"}
_HEADS = ("", "loss", "95 %", "vs nothing", "95 %", "per step", "verdict")
_LIVE, _ENDED = 2000, 10_000


def page(shelf: Shelf, address: Address, prefix: str) -> Component:
    """The frame of the page; callbacks fill it and follow a treatment that is still being tried."""
    if shelf.treatment(address.id) is None:
        raise RunError(f"there is no treatment {address.id!r} in the folder that is served")
    return html.Div(
        [
            html.P(link("← all runs", Address().link(prefix)), className="back"),
            html.H1(f"Treatment {clean(address.id)}"),
            html.Div(html.P("…", className="calm"), id="treatment-head"),
            *(place(f"treatment-{name}", heading) for name, heading in FIGURES.items()),
            html.Div(id="treatment-rest"),
            dcc.Interval(id="treatment-tick", interval=_LIVE),
            dcc.Store(id="treatment-stamp"),
        ]
    )


def callbacks(app: Dash, shelf: Shelf, prefix: str) -> None:
    """Register what fills the page."""
    for name in FIGURES:
        connect(app, f"treatment-{name}")

    @app.callback(
        Output("treatment-stamp", "data"),
        Output("treatment-tick", "interval"),
        Output("treatment-head", "children"),
        Output("treatment-rest", "children"),
        *(Output(f"treatment-{name}-drawing", "data") for name in FIGURES),
        Input("treatment-tick", "n_intervals"),
        State("treatment-stamp", "data"),
        State("url", "pathname"),
    )
    def follow(_: int, known: str | None, pathname: str) -> Any:
        name = Address.read(pathname, None, prefix).id or shelf.only or ""
        folder = shelf.treatment(name)
        nothing = [no_update] * (len(FIGURES) + 1)
        if folder is None:
            return no_update, _ENDED, html.P("The treatment's folder is gone.", className="notice"), *nothing
        now = stamp(folder)
        if now == known:
            return no_update, no_update, no_update, *nothing
        try:
            document = treatment_document(folder)
            return filled(shelf, name, document, now, prefix)
        except (LivegradError, OSError) as error:
            return now, _ENDED, html.P(clean(str(error)), className="notice"), *nothing
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            said = f"this treatment cannot be shown ({type(error).__name__}: {clean(str(error))})"
            return now, _ENDED, html.P(said, className="notice"), *nothing


def filled(shelf: Shelf, name: str, document: dict[str, Any], now: str, prefix: str) -> tuple[Any, ...]:
    """Return what fills the page of the treatment `name`: the stamp, the pace of looking, the head, what
    follows the figures, and the figures.
    """
    drawings = treatment_drawings(document, lambda folder: _open(shelf, name, folder))
    missing = "Drawn when an arm has won." if document["status"] == "running" else "No arm to draw beside it."
    figures = [pack(drawings.get(key, missing)) for key in FIGURES]
    pace = _LIVE if document["status"] == "running" else _ENDED
    return now, pace, _head(document), _rest(document, name, shelf, prefix), *figures


def _open(shelf: Shelf, name: str, folder: str) -> Run | None:
    try:
        if not is_inside(folder):
            return None
        with shelf.open(f"{name}/{Path(folder).as_posix()}").reading() as run:
            return run.fork()
    except (LivegradError, OSError):
        return None


def _head(document: Mapping[str, Any]) -> Component:
    health = _HEALTH.get(document["verdict"], "unwell")
    running = " · ● still being tried" if document["status"] == "running" else ""
    said = f"{_SIGNS[health]} {HEADS[document['verdict']]}"
    return html.Div(
        [
            html.P([html.Span(said, id="badge"), running], className="badge-line"),
            html.P(clean(document["summary"]), className="summary"),
            html.P(html.Code(clean(shorten(" ".join(document["command"]), 300))), className="where"),
            facts([(label, clean(value)) for label, value in treatment_facts(document)]),
        ],
        className=f"verdict {health}",
    )


def _rest(document: Mapping[str, Any], name: str, shelf: Shelf, prefix: str) -> Component:
    return html.Div(
        [
            _tried(document),
            _findings(document),
            _change(document),
            _runs(document, name, shelf, prefix),
            _reasons(document),
        ]
    )


def _tried(document: Mapping[str, Any]) -> Component:
    rows = rows_of(document)
    if not rows:
        return html.P("No arm has ended yet.", className="calm")
    cells = [
        (f"✓ {row.name}" if row.meaning == "winner" else row.name, row.loss, row.interval, row.effect,
         row.effect_interval, row.cost, row.after)
        for row in rows
    ]  # fmt: skip
    notes = [html.P(f"{clean(note)}.", className="calm") for note in document["notes"]]
    return html.Section([html.H2("What was tried, and what it costs"), table(_HEADS, cells), *notes])


def _findings(document: Mapping[str, Any]) -> Component:
    """Which findings each arm has, beside those of the control."""
    arms = [arm for arm in document["arms"] if arm["runs"] and not is_refused(arm)]
    known: dict[str, str] = {}
    for arm in arms:
        for finding in arm["findings"] or ():
            known.setdefault(finding["code"], f"{finding['code']} {finding['name']}")
    if not known:
        return html.P("None of the arms has a finding.", className="calm")
    codes = [{finding["code"] for finding in arm["findings"] or ()} for arm in arms]
    rows = [
        (words, *("✗ there" if code in mine else "✓ gone" if code in codes[0] else "–" for mine in codes))
        for code, words in known.items()
    ]
    heads = ("finding", *(clean(shorten(name_of(arm), 40)) for arm in arms))
    return html.Section([html.H2("Findings before and after"), table(heads, rows)])


def _change(document: Mapping[str, Any]) -> Component:
    lines = str(document["diff"] or "").splitlines()
    parts: list[Component] = []
    if lines:
        spans = [html.Span(f"{clean(line)}\n", className=diff_style(line) or "same") for line in lines]
        parts.append(html.Pre(html.Code(spans), className="diff", tabIndex="0"))
    parts += [
        html.Pre("\n".join(clean(line) for line in words.splitlines()), className="command")
        for words in document["instructions"]
    ]
    return html.Section([html.H2("The change"), *parts]) if parts else None


def _runs(document: Mapping[str, Any], name: str, shelf: Shelf, prefix: str) -> Component:
    served = {entry.id: entry for entry in shelf.arms(name)}
    control = _ids(document["arms"][0], name, served)
    items = []
    for arm in document["arms"]:
        ids = _ids(arm, name, served)
        if not ids:
            continue
        links: list[Component] = []
        for number, id in ids.items():
            links += [link(f"seed {number + 1}", Address("run", id).link(prefix)), " "]
            if arm["choices"] and number in control:
                beside = Address("compare", a=control[number], b=id).link(prefix)
                links += ["(", link("beside the control", beside), ") "]
        items.append(html.Li([html.Strong(clean(name_of(arm))), ": ", *links]))
    if not items:
        return None
    said = html.P(
        f"Every run of every arm, recorded as any other. “{NOTHING}” is the control.", className="caption"
    )
    return html.Section([html.H2("Runs of the arms"), said, html.Ul(items, className="arms")])


def _ids(arm: Mapping[str, Any], name: str, served: Mapping[str, Any]) -> dict[int, str]:
    """The runs of an arm that are served, by seed."""
    found = {
        run["repetition"]: f"{name}/{run['folder']}" for run in arm["runs"] if isinstance(run["folder"], str)
    }
    return {number: id for number, id in found.items() if id in served}


def _reasons(document: Mapping[str, Any]) -> Component:
    proposals = list((document["prescription"] or {}).get("proposals", ()))
    pairs = [(p["spec"], p["reason"]) for p in proposals if p.get("kind", "remedy") == "remedy"]
    refused = refusals(document)
    parts: list[Component] = []
    if pairs:
        parts += [html.H2("What can work here"), _list(pairs)]
    if refused:
        parts += [html.H2("What cannot work here"), _list(refused)]
    return html.Div(parts)


def _list(pairs: Any) -> Component:
    found = [part for name, reason in pairs for part in (html.Dt(clean(name)), html.Dd(clean(reason)))]
    return html.Dl(found, className="reasons")
