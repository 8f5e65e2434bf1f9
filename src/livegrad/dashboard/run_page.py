"""A run's page: verdict, spine, findings, figures over depth and steps, one layer opened, notes."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from livegrad.dashboard.address import Address
from livegrad.dashboard.drawings import FIGURES, SHOWN
from livegrad.dashboard.figures import place
from livegrad.dashboard.note_parts import notes_frame
from livegrad.dashboard.open_run import OpenRun, State
from livegrad.dashboard.parts import Component, aria, facts, findings, layer_facts, link, table
from livegrad.diagnose.naming import spoken
from livegrad.diagnose.number import percent, short
from livegrad.view.facts import key_facts
from livegrad.view.finding_card import finding_cards
from livegrad.view.fold import Row, fold, subject_layers, worst_findings
from livegrad.view.ledger_table import subject_ledger
from livegrad.view.subject_section import row_title
from livegrad.view.text import clean, shorten

_SIGNS = {"error": "✗", "warning": "▲", "unwell": "✗", "healthy": "✓"}
_CELLS, _ROWS, _STEPS = 60, 120, 300


def page(opened: OpenRun, address: Address, prefix: str) -> Component:
    """The frame of the page; callbacks fill it and follow the run."""
    with opened.reading() as run:
        subjects = [subject.name for subject in run.subjects]
        command = " ".join(run.info.command) or run.info.script or ""
        damage = run.damage
    subject = address.subject if address.subject in subjects else (subjects[0] if subjects else "")
    show = address.show if address.show in SHOWN else SHOWN[0]
    top = [
        html.P(link("← all runs", Address().link(prefix)), className="back"),
        html.H1(clean(address.id)),
        html.P(html.Code(shorten(clean(command), 300)), className="where"),
        *([html.P(clean(damage), className="notice")] if damage else []),
    ]
    menus = [
        _choice("subject", "Model", subjects, subject, hidden=len(subjects) < 2),
        _choice("layer", "Open a layer", [address.layer] if address.layer else [], address.layer or None),
    ]
    kinds = dcc.RadioItems(list(SHOWN), show, id="show", inline=True, className="show")
    asides: dict[str, Component] = {
        "heatmap": html.Fieldset([html.Legend("Show", className="visually-hidden"), kinds]),
    }
    figures = [place(name, FIGURES[name][0], None, *_aside(asides, name)) for name in FIGURES]
    return html.Div(
        [
            *top,
            html.Div(
                [
                    html.P([html.Span(id="badge"), html.Span(id="state")], className="badge-line"),
                    html.P("Being diagnosed …", id="summary", className="summary calm"),
                    html.Div(id="strip"),
                    html.Div(id="verdict"),
                ],
                id="verdict-box",
                className="verdict",
            ),
            html.Div(menus, className="choices"),
            html.Section(
                [html.H2("Findings"), html.Div(html.P("…", className="calm"), id="findings")], id="found"
            ),
            *figures[:4],
            notes_frame(opened.path),
            *figures[4:],
            html.Div(id="ledger-lines"),
            html.Section([html.H2("Layers"), html.Div(id="layer-rows")], id="layers"),
            html.Aside(id="layer-panel", className="drawer", tabIndex="-1", **aria(label="One layer")),
            dcc.Interval(id="tick", interval=1000),
            dcc.Store(id="stamp"),
            dcc.Store(id="version"),
            *(dcc.Store(id=name) for name in ("clicked", "tables", "filled")),
            dcc.Store(id="notes-changed", data=0),
        ]
    )


def _aside(asides: Mapping[str, Component], name: str) -> list[Component]:
    return [asides[name]] if name in asides else []


def _choice(id: str, words: str, options: list[str], value: str | None, hidden: bool = False) -> Component:
    menu = dcc.Dropdown(
        options, value, id=id, clearable=id == "layer", placeholder="Choose one, or click it in a figure"
    )
    return html.Div([html.Label(words, htmlFor=id), menu], className="choice", hidden=hidden)


def badge(document: Mapping[str, Any] | None, state: State) -> tuple[str, str, str]:
    """The verdict in a word, the class of its box, and what is known of the run without a diagnosis."""
    said = f"{'● ' if state.is_live else ''}{state.words} · {state.steps:,} steps"
    if document is None or "failed" in document:
        return "", "verdict", said
    verdict = document["verdict"]
    return f"{_SIGNS.get(verdict, '▲')} {verdict}", f"verdict {verdict}", f" · {said}"


def summary(document: Mapping[str, Any] | None) -> tuple[str, str]:
    """What the diagnosis says in a sentence, and the sentence's class."""
    if document is None:
        return "Being diagnosed …", "summary calm"
    return clean(shorten(document.get("failed") or document["summary"], 600)), "summary"


def verdict(document: Mapping[str, Any] | None) -> Component:
    """Where to look, what to do next, and the key facts."""
    if document is None or "failed" in document:
        return None
    serious = [card for card in finding_cards(document) if card["severity"] in ("error", "warning")]
    return html.Div(
        [
            html.Ul([_pointer(card) for card in serious[:6]], className="where-to-look"),
            *_next_step(serious),
            facts(key_facts(document)),
        ]
    )


def tables(document: Mapping[str, Any] | None, subject: str) -> dict[str, Any]:
    """Return what the browser makes the strip and the long tables of, by the ids of their places: as text,
    for thousands of components would take seconds to appear.
    """
    if document is None or "failed" in document:
        return {}
    layers = subject_layers(document, subject)
    worst = worst_findings(document, subject)
    return {
        "strip": _strip(fold(layers, worst, _CELLS)),
        "layer-rows": _layer_rows(layers, fold(layers, worst, _ROWS)),
        "ledger-lines": _ledger_lines(document, subject),
    }


def _next_step(serious: Sequence[Mapping[str, Any]]) -> list[Component]:
    """The first command that the gravest finding proposes."""
    commands = [command for card in serious[:1] for command in card["commands"]]
    if not commands:
        return []
    return [html.P([html.Strong("Next: "), html.Code(clean(shorten(commands[0], 400)))], className="next")]


def _pointer(card: Mapping[str, Any]) -> Component:
    severity = card["severity"]
    parts: list[Component] = [
        html.A(
            f"{_SIGNS[severity]} {card['code']} {card['name']}", href=f"#{card['anchor']}", className="code"
        )
    ]
    if card["layers_text"]:
        parts += [": ", html.Strong(clean(shorten(card["layers_text"], 90)))]
    if card["source"]:
        parts += [" ", html.Code(clean(shorten(card["source"], 120)))]
    return html.Li(parts, className=severity)


def _strip(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The layers from the input to the output as cells; those with a finding stand out."""
    return [
        {"opens": place, "wide": row.count, "style": _severity(row), "title": _told(row)}
        for place, row in zip(_places(rows), rows, strict=True)
    ]


def _places(rows: Sequence[Row]) -> list[int]:
    """Of each row, the place of its first layer among `subject_layers`: what a button opens."""
    return [sum(row.count for row in rows[:i]) for i in range(len(rows))]


def _severity(row: Row) -> str:
    return str(row.finding["severity"]) if row.finding is not None else ""


def _told(row: Row) -> str:
    said = f": {row.finding['code']} {row.finding['name']}" if row.finding is not None else ""
    return clean(row_title(row)) + said


def found(document: Mapping[str, Any] | None, prefix: str) -> Component:
    """The findings, or why there are none yet."""
    if document is None:
        return html.P("…", className="calm")
    if "failed" in document:
        return html.P("There is no diagnosis of this run.", className="calm")
    return findings(document, f"{prefix.rstrip('/')}/guide/")


def _layer_rows(layers: Sequence[Any], rows: Sequence[Row]) -> dict[str, Any]:
    """All layers as rows to open; neighbours that behave alike are one row."""
    if not rows:
        return {"caption": "No layer of this model was seen."}
    said = "From the input (top) to the output. Open one to see all that is known of it."
    if len(rows) < len(layers):
        said += f" {len(layers):,} layers are folded into {len(rows)} rows of neighbours that behave alike."
    heads = ("layer", "type", "gradient rms", "audibility", "saturated", "dead", "finding")
    places = _places(rows)
    return {
        "caption": said,
        "heads": heads,
        "rows": [
            {"opens": place, "style": _severity(row), "cells": _cells(row)}
            for place, row in zip(places, rows, strict=True)
        ],
    }


def _cells(row: Row) -> list[str]:
    types = list(dict.fromkeys(str(layer["type"]) for layer in row.layers if layer["type"]))
    found = row.finding
    shares = [row.most(key) for key in ("saturated", "dead")]
    cells = [
        row_title(row),
        ", ".join(types[:3]) + (", …" if len(types) > 3 else ""),
        short(row.middle("gradient_rms")),
        short(row.middle("audibility_ratio")),
        *("" if share is None else percent(share) for share in shares),
        f"{_SIGNS.get(found['severity'], '·')} {found['code']}" if found is not None else "",
    ]
    return [clean(shorten(cell, 120)) for cell in cells]


def layer_panel(document: Mapping[str, Any] | None, subject: str, layer: str | None) -> Component:
    """One layer opened; nothing where none is."""
    if not layer:
        return None
    close = html.Button("Close", id="layer-close", n_clicks=0)
    heading = clean(shorten(spoken(layer), 200))
    top = html.Div([html.H2(heading), close], className="drawer-top")
    if document is None or "failed" in document:
        return html.Div([top, html.P("There is no diagnosis yet.", className="calm")])
    rows = [row for row in subject_layers(document, subject) if row["name"] == layer]
    if not rows:
        return html.Div([top, html.P("There is no such layer in this model.", className="calm")])
    about = [f for f in document["findings"] if layer in f["layers"] and f["subject"] in (subject, None)]
    said = [
        html.P(
            [html.Span(f"{f['severity']} {f['code']} ", className=f"sign {f['severity']}"),
             html.Strong(f["name"]), f": {clean(shorten(f['message'], 600))}"]
        )
        for f in about
    ]  # fmt: skip
    lines = _lines_of(document, subject, layer)
    heads = ("its part of the ledger", "type", "decades", "expected")
    bill = [table(heads, lines, "bill")] if lines else []
    return html.Div([top, *said, layer_facts(rows[0]), *bill])


def _lines_of(document: Mapping[str, Any], subject: str, layer: str) -> list[tuple[str, ...]]:
    book = subject_ledger(document, subject)
    if not book:
        return []
    names = (layer, layer.split(".", 1)[-1])
    return [
        (row["title"], row["type"], row["decades"], row["expected"])
        for row in book["tree"]
        if row["name"] in names or row["name"].endswith(f".{layer}")
    ]


def _ledger_lines(document: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """The ledger step by step, to open."""
    book = subject_ledger(document, subject)
    if not book:
        return {}
    rows = [
        ("\u2003" * row["level"] + row["title"], row["type"], row["decades"], row["expected"])
        for row in book["tree"][:_STEPS]
    ]
    left = len(book["tree"]) - len(rows)
    return {
        "summary": "The ledger step by step",
        "heads": ("from the output down", "type", "decades", "expected"),
        "rows": [{"cells": [clean(shorten(cell, 120)) for cell in row]} for row in rows],
        "foot": f"{left:,} more steps stand in the report: livegrad report --html." if left else "",
    }
