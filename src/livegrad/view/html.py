"""The HTML report: one file that holds everything it needs and asks the network for nothing."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import to_json
from livegrad.view.facts import key_facts, run_facts, what_was_observed, when
from livegrad.view.finding_card import finding_cards
from livegrad.view.page import render_page, write_page
from livegrad.view.prognosis_section import prognosis_section
from livegrad.view.subject_section import subject_sections

if TYPE_CHECKING:
    from livegrad.run.reader import Run

_SIGNS = {"unwell": "✗", "error": "✗", "warning": "▲", "info": "·", "healthy": "✓"}


def write_report(run: "Run", document: Mapping[str, Any], path: Path) -> None:
    """Write the report to `path`, whole or not at all.

    Raises:
        LivegradError: the file cannot be written there.
    """
    write_page(render_html(run, document), path)


def render_html(run: "Run", document: Mapping[str, Any]) -> str:
    """Return the report as one HTML page.

    Everything that comes from the user's program is escaped where it enters the page; beside that, a content
    security policy lets no script run but the report's own.

    Args:
        run: the recorded run, for the figures.
        document: in the form of `Report.to_dict()`.
    """
    document = to_json(document)
    sections = subject_sections(run, document)
    cards = finding_cards(document)
    page = {
        "title": f"{document['verdict']}: {document['run'].get('script') or 'a training'} · livegrad report",
        "script": document["run"].get("script") or "a training",
        "when": when(run),
        "signs": _SIGNS,
        "key_facts": key_facts(document),
        "findings": cards,
        "serious": [card for card in cards if card["severity"] in ("error", "warning")],
        "prognosis": prognosis_section(document),
        "subjects": sections,
        "run_facts": run_facts(run, document),
        "lists": what_was_observed(run, document),
        "json_command": shlex.join(["livegrad", "report", document["run"].get("path") or "RUN", "--json"]),
    }
    figures = [(figure.id, figure.drawing.plot) for section in sections for figure in section.figures]
    return render_page("report.html.j2", document, figures, **page)
