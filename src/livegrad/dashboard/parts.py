"""Pieces of pages: findings as cards, facts, tables. Text of a run stays text; control signs are shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from livegrad.diagnose.number import count, percent, short
from livegrad.view.finding_card import finding_cards
from livegrad.view.ledger_table import decades
from livegrad.view.text import clean, shorten

_SIGNS = {"error": "✗", "warning": "▲", "info": "·"}
# Numbers and intervals stay on one line.
_SHORT = 24
# No name fills the page, however long it is.
_WIDE, _LONG = 400, 1500
Component = Any


def aria(**names: str) -> dict[str, Any]:
    """Attributes for those who do not see the page: aria(label="Layers")."""
    return {f"aria-{name}": words for name, words in names.items()}


def link(words: str, href: str, **more: Any) -> Component:
    """A link within the dashboard, which the browser follows without loading anew."""
    return dcc.Link(words, href=href, **more)


def facts(pairs: Sequence[tuple[str, Any]], name: str = "facts") -> Component:
    """Labels and values."""
    return html.Dl(
        [html.Div([html.Dt(_cell(label)), html.Dd(_cell(value))]) for label, value in pairs], className=name
    )


def findings(document: Mapping[str, Any], guide: str) -> Component:
    """The findings as cards to open, the most severe first; the first stands open."""
    cards = finding_cards(document)
    if not cards:
        return html.P("Nothing was found wrong in what was observed.", className="calm")
    return html.Div([_card(card, number == 0, guide) for number, card in enumerate(cards)])


def _card(card: Mapping[str, Any], is_open: bool, guide: str) -> Component:
    code = card["code"]
    body: list[Component] = []
    shown = [("in your code", html.Code(_cell(card["source"])))] if card["source"] else []
    shown += [("layers", _cell(card["layers_text"]))] if card["layers_text"] else []
    shown += [("seen", card["steps"])] if card["steps"] else []
    body.append(facts([*shown, *card["facts"]], "evidence"))
    if why := _said(" ".join(part for part in (card["cause"], card.get("explanation")) if part)):
        body.append(html.P([html.Strong("Why. "), why]))
    if card["bill"].get("lines"):
        body.append(_bill(card["bill"]))
    if card.get("next"):
        body.append(html.P([html.Strong("Next. "), _said(card["next"])]))
    body += [html.Pre(html.Code(_said(command)), className="command") for command in card["commands"]]
    body += (
        [facts([(r["name"], r["predicted"]) for r in card["remedies"]], "reasons")]
        if card["remedies"]
        else []
    )
    body.append(
        html.P(html.A(f"{clean(code)} in the field guide", href=f"{guide}{code}.html", target="_blank"))
    )
    head = [
        html.Span(f"{_SIGNS.get(card['severity'], '·')} {card['severity']} {code}", className="code"),
        html.Strong(f" {card['name']}"),
        html.Span(_said(card["message"]), className="message"),
    ]
    return html.Details(
        [html.Summary(head), *body], open=is_open, id=card["anchor"], className=f"finding {card['severity']}"
    )


def _bill(bill: Mapping[str, Any]) -> Component:
    return table(bill["headings"], bill["lines"], "bill")


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], name: str = "") -> Component:
    """A table whose first column names its rows."""
    head = html.Thead(html.Tr([html.Th(words, scope="col") for words in heads]))
    body = [html.Tr([html.Th(_cell(row[0]), scope="row"), *map(_data, row[1:])]) for row in rows]
    return html.Div(html.Table([head, html.Tbody(body)]), className=f"scroll {name}", tabIndex="0")


def _data(value: Any) -> Component:
    is_short = isinstance(value, str) and len(value) <= _SHORT
    return html.Td(_cell(value), className="short" if is_short else "")


def _cell(value: Any) -> Any:
    return clean(shorten(value, _WIDE)) if isinstance(value, str) else value


def _said(text: str) -> str:
    """A sentence or two that may quote names of any length."""
    return clean(shorten(text, _LONG))


def _decades(value: Any) -> str:
    said = decades(value)
    return f"{said} decades" if said else "unknown"


def layer_facts(layer: Mapping[str, Any]) -> Component:
    """What is known of one layer at the latest scan."""
    pairs: list[tuple[str, Any]] = [
        ("type", layer.get("type") or "?"),
        ("in your code", html.Code(_cell(layer["source"])) if layer.get("source") else "unknown"),
        ("audibility, of the output's", short(layer.get("audibility_ratio"))),
        ("transport of the gradient", _decades(layer.get("transport"))),
        ("activation rms", short(layer.get("activation_rms"))),
        ("gradient rms", short(layer.get("gradient_rms"))),
    ]
    pairs += (
        [("slope of the activation", short(layer["activation_slope"]))]
        if layer.get("activation_slope")
        else []
    )
    pairs += [(k, percent(layer[k])) for k in ("saturated", "dead") if layer.get(k) is not None]
    if layer.get("turnover_steps") is not None:
        pairs.append(("weights turn over in", f"{count(layer['turnover_steps'])} steps"))
    if layer.get("tensors"):
        pairs.append(("parameters", ", ".join(shorten(name, 60) for name in layer["tensors"][:8])))
    return facts(pairs, "evidence")
