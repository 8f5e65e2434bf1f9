"""The HTML page of a treatment: the verdict, before and after in figures, every arm in a table."""

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from livegrad.diagnose.number import count, duration, percent, to_json
from livegrad.errors import RunError
from livegrad.run.reader import Run, load
from livegrad.view.page import render_page, write_page
from livegrad.view.treatment import HEADS, diff_style, reasons, refusals
from livegrad.view.treatment_drawings import treatment_drawings
from livegrad.view.treatment_table import name_of, rows_of

_CLASS = {
    "healthy": "healthy",
    "improved": "healthy",
    "cured": "healthy",
    "relieved": "warning",
    "undecided": "warning",
}
_SIGNS = {"healthy": "✓", "warning": "▲", "unwell": "✗"}


def write_treatment(document: Mapping[str, Any], path: Path) -> None:
    """Write a treatment's page to `path`, whole or not at all. Raises LivegradError where it cannot be."""
    write_page(render_treatment_page(document), path)


def render_treatment_page(document: Mapping[str, Any]) -> str:
    """Return a treatment as one HTML page.

    document: in the form of `TreatmentDocument.to_dict()`; the figures come from the runs in its folder.
    """
    document = to_json(document)
    health = _CLASS.get(document["verdict"], "unwell")
    drawings = list(treatment_drawings(document, partial(_open, document)).values())
    figures = [(f"figure-{i + 1}", drawing) for i, drawing in enumerate(drawings)]
    return render_page(
        "treatment.html.j2",
        document,
        [(name, drawing.plot) for name, drawing in figures],
        title=f"{HEADS[document['verdict']]}: {document['script']} · livegrad treat",
        health=health,
        head=HEADS[document["verdict"]],
        sign=_SIGNS[health],
        facts=treatment_facts(document),
        drawings=figures,
        rows=rows_of(document),
        refused=refusals(document),
        reasons=reasons(document["arms"]),
        advice=[p["reason"] for p in _proposals(document) if p.get("kind") == "advice"],
        proposals=_proposed(document),
        diff=[(diff_style(line) or "same", line) for line in str(document["diff"] or "").splitlines()],
        steps=[(step["does"], shlex.join(step["command"])) for step in document["next"]],
        json_command=shlex.join(["livegrad", "treat", "--json", "--resume", document["path"]]),
    )


def _proposals(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((document["prescription"] or {}).get("proposals", ()))


def _proposed(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(p["spec"], p["reason"]) for p in _proposals(document) if p.get("kind", "remedy") == "remedy"]


def treatment_facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers under the headline, as (label, value)."""
    budget, winner = document["budget"], document["winner"]
    facts = []
    if winner is not None:
        arm = next(arm for arm in document["arms"] if arm["name"] == winner["name"])
        row = next(row for row in rows_of(document) if row.name == name_of(arm))
        facts.append(("loss beside doing nothing", row.effect))
        if row.effect_interval:
            facts.append(("95 % interval", row.effect_interval))
        if row.cost:
            facts.append(("time per step", row.cost))
    if budget["steps"]:
        facts.append(("steps of each run", count(budget["steps"])))
    facts.append(("seeds", count(budget["seeds"])))
    runs = [run for arm in document["arms"] for run in arm["runs"]]
    facts.append(("runs", count(len(runs))))
    facts.append(("work", duration(sum(run["seconds"] or 0 for run in runs))))
    if len(document["arms"]) > 2:
        facts.append(("confidence of each interval", percent(budget["confidence"])))
    return facts


def _open(document: Mapping[str, Any], folder: str) -> Run | None:
    try:
        return load(Path(document["path"]) / folder)
    except RunError:
        return None
