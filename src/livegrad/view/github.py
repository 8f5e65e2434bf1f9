"""Findings as GitHub workflow commands, which show them beside the lines of code that they name."""

from collections.abc import Mapping
from typing import Any

from livegrad.diagnose.report import severity_rank
from livegrad.view.text import clean

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def annotations(document: Mapping[str, Any]) -> list[str]:
    """Return one workflow command per finding, the most severe first.

    `::error file=train.py,line=14,title=LG101 vanishing-gradient::message`. A finding that names no line of
    code has neither file nor line. Each command is one line, whatever the names in it hold: percent signs and
    line breaks are escaped as GitHub's own toolkit does, in properties colons and commas too; other control
    characters are made visible.

    Args:
        document: in the form of `Report.to_dict()`.
    """
    findings = sorted(document.get("findings") or (), key=lambda f: severity_rank(f.get("severity")))
    return [_command(finding) for finding in findings]


def _command(finding: Mapping[str, Any]) -> str:
    name = _COMMANDS.get(str(finding.get("severity")), "notice")
    title = {"title": f"{finding.get('code')} {finding.get('name')}"}
    properties = ",".join(f"{key}={_property(value)}" for key, value in (_place(finding) | title).items())
    return f"::{name} {properties}::{_data(_words(finding))}"


def _place(finding: Mapping[str, Any]) -> dict[str, str]:
    """Return file and line of "train.py:14"; a path may itself hold colons."""
    path, _, line = str(finding.get("source") or "").rpartition(":")
    return {"file": path, "line": line} if path and line.isascii() and line.isdigit() else {}


def _words(finding: Mapping[str, Any]) -> str:
    cause = (finding.get("cause") or {}).get("summary")
    said = [finding.get("message"), f"Why: {cause}" if cause else None, finding.get("next")]
    return "\n".join(str(part) for part in said if part)


def _data(text: str) -> str:
    lines = [clean(line) for line in text.replace("%", "%25").replace("\r\n", "\n").split("\n")]
    return "%0A".join(lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
