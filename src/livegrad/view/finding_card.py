"""Findings as the report's cards."""

from collections.abc import Mapping
from typing import Any

from livegrad.diagnose.report import severity_rank
from livegrad.view.evidence import fact, facts, steps_text
from livegrad.view.ledger_table import bill_table

_CONFIRMED = {True: "confirmed: measured again without it", False: "not confirmed by measuring without it"}


def finding_cards(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the template shows of each finding, the most severe first."""
    findings = sorted(document["findings"], key=lambda finding: severity_rank(finding["severity"]))
    return [_card(finding) | {"anchor": f"finding-{i}"} for i, finding in enumerate(findings, start=1)]


def _card(finding: Mapping[str, Any]) -> dict[str, Any]:
    remedies = [remedy for remedy in finding["remedies"] if remedy.get("predicted")]
    commands = [remedy["command"] for remedy in finding["remedies"] if remedy.get("command")]
    return {
        **finding,
        "steps": steps_text(finding),
        "facts": facts(finding),
        "cause": _cause(finding["cause"]),
        "bill": bill_table((finding["cause"] or {}).get("bill") or ()),
        "commands": list(dict.fromkeys(commands)),
        "remedies": [{"name": remedy["name"], "predicted": _predicted(remedy)} for remedy in remedies],
    }


def _cause(cause: Mapping[str, Any] | None) -> str:
    if cause is None or not cause.get("summary"):
        return ""
    if tried := cause.get("counterfactual"):
        return f"{cause['summary'].rstrip('.')}. {tried[0].upper()}{tried[1:].rstrip('.')}."
    tested = "" if cause["confirmed"] is None else f" ({_CONFIRMED[bool(cause['confirmed'])]})"
    return f"{cause['summary'].rstrip('.')}{tested}."


def _predicted(remedy: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{label} {value}" for label, value in (fact(*item) for item in remedy["predicted"].items())
    )
