"""The HTML report: one file that holds everything it needs and asks the network for nothing."""

import json
import os
import secrets
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import to_json
from livegrad.errors import LivegradError
from livegrad.view.facts import key_facts, run_facts, what_was_observed, when
from livegrad.view.finding_card import finding_cards
from livegrad.view.palette import DARK, LIGHT, style_variables
from livegrad.view.plotly_bundle import packed
from livegrad.view.prognosis_section import prognosis_section
from livegrad.view.subject_section import SubjectSection, subject_sections
from livegrad.view.text import clean

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from livegrad.run.reader import Run

_TEMPLATES = Path(__file__).parent / "templates"
_SIGNS = {"unwell": "✗", "error": "✗", "warning": "▲", "info": "·", "healthy": "✓"}


def write_report(run: "Run", document: Mapping[str, Any], path: Path) -> None:
    """Write the report to `path`, whole or not at all.

    Raises:
        LivegradError: the file cannot be written there.
    """
    path = Path(path)
    text = render_html(run, document)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = error.strerror or error
        raise LivegradError(f"cannot write the report to {str(path)!r}: {why}. Give another file.") from error


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
    page = {
        "document": document,
        "title": f"{document['verdict']}: {document['run'].get('script') or 'a training'} · livegrad report",
        "script": document["run"].get("script") or "a training",
        "when": when(run),
        "signs": _SIGNS,
        "key_facts": key_facts(document),
        "findings": finding_cards(document),
        "prognosis": prognosis_section(document),
        "subjects": sections,
        "run_facts": run_facts(run, document),
        "lists": what_was_observed(run, document),
        "json_command": shlex.join(["livegrad", "report", document["run"].get("path") or "RUN", "--json"]),
        "nonce": secrets.token_urlsafe(16),
        "style": _style(),
        "script_code": _trusted((_TEMPLATES / "report.js").read_text(encoding="utf-8")),
        "document_json": script_json(document),
        "figures_json": _figures_json(sections),
        "plotly": _library(),
    }
    return _environment().get_template("report.html.j2").render(page)


def script_json(value: Any) -> "Markup":
    """Return `value` as JSON that can stand inside a <script> element, whatever strings it holds.

    `<`, `>` and `&` are written as JSON escapes, so no string can close the element; all that is not ASCII is
    escaped too, the line separators U+2028 and U+2029 among it.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return _trusted(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _figures_json(sections: list[SubjectSection]) -> "Markup":
    figures = [{"id": figure.id, **figure.drawing.plot} for section in sections for figure in section.figures]
    return script_json({"palettes": {"light": LIGHT, "dark": DARK}, "figures": figures})


def _library() -> "Markup":
    try:
        return _trusted(packed())
    except LivegradError:
        # The report's words and tables are worth having without figures; the page says what is missing.
        return _trusted("")


def _style() -> "Markup":
    sheet = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
    light, dark = style_variables(LIGHT), style_variables(DARK)
    return _trusted(
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{sheet}"
    )


def _trusted(text: str) -> "Markup":
    """Mark livegrad's own text, or text escaped above, as not to be escaped again."""
    from markupsafe import Markup

    return Markup(text)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    """Make control and directional signs visible in whatever the template prints."""
    from markupsafe import Markup

    if value is None:
        return ""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
