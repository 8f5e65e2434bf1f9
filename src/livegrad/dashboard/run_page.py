"""A run's page: verdict, findings, figures over depth and steps, one layer opened, notes."""

from collections.abc import Mapping
from typing import Any

from dash import dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.figures import graph
from livegrad.dashboard.notes import LONGEST, Note, can_write
from livegrad.dashboard.parts import Component, aria, facts, findings, layer_facts, link, table
from livegrad.dashboard.shelf import OpenRun
from livegrad.run.reader import Run
from livegrad.view.facts import key_facts
from livegrad.view.fold import subject_layers
from livegrad.view.ledger_table import subject_ledger
from livegrad.view.text import clean

_BADGES = {"healthy": "healthy", "warning": "warning", "unwell": "unwell"}
SHOWN = ("gradient", "audibility", "gain")


def page(opened: OpenRun, address: Address, prefix: str) -> Component:
    """The frame of the page; the callbacks of `app` fill it and follow the run."""
    with opened as run:
        stamp = opened.stamp()
        subjects = [subject.name for subject in run.subjects]
        command = " ".join(run.info.command) or run.info.script or ""
    subject = address.subject if address.subject in subjects else (subjects[0] if subjects else "")
    show = address.show if address.show in SHOWN else SHOWN[0]
    return html.Div(
        [
            html.P(link("← all runs", Address().link(prefix))),
            html.Div(
                [
                    html.H1(clean(address.id)),
                    html.P(html.Code(clean(command)), className="where"),
                ]
            ),
            html.Div(id="verdict", className="verdict", **aria(live="polite")),
            html.Div(
                [
                    _choice("subject", "Model", subjects, subject, hidden=len(subjects) < 2),
                    _choice(
                        "layer",
                        "Layer",
                        [address.layer] if address.layer else [],
                        address.layer or None,
                        clearable=True,
                    ),
                ],
                className="choices",
            ),
            html.Section([html.H2("Findings"), html.Div(id="findings")]),
            html.Section(id="layer-panel", **aria(live="polite")),
            graph("depth", "Audibility, gradient and activation over depth"),
            html.Div(
                dcc.RadioItems(list(SHOWN), show, id="show", inline=True, className="show"),
                className="choices",
            ),
            graph("heatmap", "Layer by step"),
            graph("loss", "Loss with findings and notes"),
            _notes_frame(opened),
            graph("turnover", "Turnover of the weights"),
            graph("spikes", "Norm of the gradient"),
            html.Section(
                [html.H2("Ledger"), graph("ledger", "The ledger as a waterfall"), html.Div(id="ledger-lines")]
            ),
            dcc.Interval(id="tick", interval=1000),
            dcc.Store(id="stamp", data=stamp),
            dcc.Store(id="notes-changed", data=0),
        ]
    )


def _choice(
    id: str, words: str, options: list[str], value: str | None, clearable: bool = False, hidden: bool = False
) -> Component:
    menu = dcc.Dropdown(
        options, value, id=id, clearable=clearable, placeholder="Click a layer, or choose one"
    )
    return html.Label([html.Span(words), menu], htmlFor=id, className="choice", hidden=hidden)


def _notes_frame(opened: OpenRun) -> Component:
    if not can_write(opened.path):
        said = html.P("This run's folder is read only, so notes cannot be added here.", className="calm")
        return html.Section([html.H2("Notes"), html.Div(id="notes"), said, *_note_fields(hidden=True)])
    return html.Section([html.H2("Notes"), html.Div(id="notes"), *_note_fields(hidden=False)])


def _note_fields(hidden: bool) -> list[Component]:
    fields = [
        html.Label(
            ["Step ", dcc.Input(id="note-step", type="number", min=0, step=1, value=0, debounce=True)]
        ),
        html.Label(
            [
                "Note ",
                dcc.Input(
                    id="note-text",
                    type="text",
                    maxLength=LONGEST,
                    placeholder="What happened here?",
                    debounce=False,
                ),
            ],
            className="words",
        ),
        html.Button("Pin", id="note-add", n_clicks=0),
        html.Span(id="note-said", role="status"),
    ]
    return [html.Div(fields, className="note-form", hidden=hidden)]


def verdict(run: Run, document: Mapping[str, Any] | None) -> tuple[Component, str]:
    """The verdict's box and its style."""
    state = "● live" if run.is_live else run.status
    steps = f"{run.info.steps:,} steps"
    if document is None:
        return [html.P(f"{state} · {steps} · being diagnosed …", className="badge")], "verdict"
    if "failed" in document:
        return [html.P(f"{state} · {steps}"), html.P(clean(document["failed"]))], "verdict"
    badge = _BADGES.get(document["verdict"], document["verdict"])
    shown = [
        html.P([html.Span(badge, className="badge"), html.Span(f" · {state} · {steps}")]),
        html.P(clean(document["summary"]), className="summary"),
        facts([(label, clean(value)) for label, value in key_facts(document)]),
    ]
    if damage := run.damage:
        shown.append(html.P(clean(damage), className="notice"))
    return shown, f"verdict {document['verdict']}"


def found(document: Mapping[str, Any] | None, prefix: str) -> Component:
    """The findings, or why there are none yet."""
    if document is None or "failed" in document:
        return html.P("…", className="calm")
    return findings(document, f"{prefix.rstrip('/')}/guide/")


def layer_panel(document: Mapping[str, Any] | None, subject: str, layer: str | None) -> Component:
    """One layer opened."""
    if not layer or document is None or "failed" in document:
        return None
    rows = [row for row in subject_layers(document, subject) if row["name"] == layer]
    if not rows:
        return html.P(f"There is no layer {clean(layer)!r} in this model.", className="calm")
    about = [f for f in document["findings"] if layer in f["layers"]]
    said = [html.P(f"{f['severity']} {f['code']} {f['name']}: {clean(f['message'])}") for f in about]
    lines = _lines_of(document, subject, layer)
    bill = [table(("its part of the ledger", "type", "decades", "expected"), lines)] if lines else []
    return html.Div([html.H2(clean(layer)), *said, layer_facts(rows[0]), *bill], className="layer")


def _lines_of(document: Mapping[str, Any], subject: str, layer: str) -> list[tuple[str, ...]]:
    book = subject_ledger(document, subject)
    if not book:
        return []
    short = layer.split(".", 1)[-1]
    return [
        (row["name"], row["type"], row["decades"], row["expected"])
        for row in book["tree"]
        if layer in row["name"] or short == row["name"]
    ]


def ledger_lines(document: Mapping[str, Any] | None, subject: str) -> Component:
    """The ledger by module, to open."""
    if document is None or "failed" in document:
        return None
    book = subject_ledger(document, subject)
    if not book:
        return None
    rows = [
        ("\u2003" * row["level"] + row["name"], row["type"], row["decades"], row["expected"])
        for row in book["tree"]
    ]
    return html.Details(
        [html.Summary("Step by step"), table(("from the output down", "type", "decades", "expected"), rows)]
    )


def notes_list(notes: list[Note], removable: bool) -> Component:
    """The notes by step."""
    if not notes:
        return html.P("No notes yet.", className="calm")
    return html.Ul(
        [
            html.Li(
                [
                    html.Strong(f"step {note.step}"),
                    html.Span(f" {clean(note.text)} "),
                    *(
                        [html.Button("×", id={"note": note.created}, n_clicks=0, title="Take this note away",
                                     **aria(label=f"Take away the note at step {note.step}"))]
                        if removable else []
                    ),
                ]
            )
            for note in notes
        ],
        className="notes",
    )  # fmt: skip
