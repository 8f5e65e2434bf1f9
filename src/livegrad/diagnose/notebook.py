"""A report inside a notebook: static HTML, no script, readable in light and dark themes."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from livegrad.diagnose.number import count, from_json, percent, short

_ROWS = 40
_CELL = "padding:2px 10px;text-align:left;white-space:nowrap"


def render(document: Mapping[str, Any]) -> str:
    """Return the verdict, the findings, and the layers (at most 40 of them) as one HTML fragment."""
    findings = "".join(_finding(finding) for finding in document["findings"])
    return (
        '<div style="font-family:system-ui,sans-serif;max-width:60em;line-height:1.45">'
        f"<p><strong>livegrad: {_text(document['verdict'])}.</strong> {_text(document['summary'])}</p>"
        f"{findings}{_layers(document)}</div>"
    )


def _text(value: Any) -> str:
    """Return text for HTML; signs that would turn the reading direction are made visible."""
    shown = "".join(c if c.isprintable() or c == " " else ascii(c)[1:-1] for c in str(value))
    return escape(shown)


def _finding(finding: Mapping[str, Any]) -> str:
    place = f" <code>{_text(finding['source'])}</code>" if finding.get("source") else ""
    title = _text(f"{finding['severity']} {finding['code']} {finding['name']}")
    lines = [
        f"<strong>{title}</strong>{place}",
        _text(finding["message"]),
        _text(_why(finding)),
        f"<strong>Next:</strong> {_text(finding['next'])}" if finding.get("next") else "",
    ]
    body = "<br>".join(line for line in lines if line)
    return f'<div style="border-left:4px solid currentColor;padding:2px 12px;margin:10px 0">{body}</div>'


def _why(finding: Mapping[str, Any]) -> str:
    cause = (finding.get("cause") or {}).get("summary")
    parts = [f"{cause.rstrip('.')}." if cause else "", finding.get("explanation") or ""]
    return " ".join(part for part in parts if part)


def _layers(document: Mapping[str, Any]) -> str:
    layers = document["layers"]
    if not layers:
        return ""
    sick = {(finding["subject"], name) for finding in document["findings"] for name in finding["layers"]}
    shown = layers if len(layers) <= _ROWS else [*layers[: _ROWS // 2], *layers[-_ROWS // 2 :]]
    titles = (
        "",
        "layer",
        "type",
        "gradient rms",
        "audibility / output's",
        "saturated",
        "dead",
        "turnover, steps",
    )
    head = "".join(f'<th style="{_CELL}">{escape(title)}</th>' for title in titles)
    rows = [_row(layer, (layer["subject"], layer["name"]) in sick) for layer in shown]
    if len(shown) < len(layers):
        left = f"… {count(len(layers) - len(shown))} layers between them are not shown"
        rows.insert(
            _ROWS // 2, f'<tr><td></td><td colspan="{len(titles) - 1}" style="{_CELL}">{left}</td></tr>'
        )
    opened = " open" if document["findings"] else ""
    return (
        f"<details{opened}><summary>{count(len(layers))} layers, input first</summary>"
        f'<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></details>"
    )


def _row(layer: Mapping[str, Any], sick: bool) -> str:
    shares: Sequence[str] = [
        percent(layer[key]) if from_json(layer.get(key)) is not None else "–" for key in ("saturated", "dead")
    ]
    cells = [
        "✗" if sick else "",
        layer["name"],
        layer["type"] or "",
        short(layer["gradient_rms"]),
        short(layer["audibility_ratio"]),
        *shares,
        short(layer["turnover_steps"]),
    ]
    weight = ";font-weight:600" if sick else ""
    return "<tr>" + "".join(f'<td style="{_CELL}{weight}">{_text(cell)}</td>' for cell in cells) + "</tr>"
