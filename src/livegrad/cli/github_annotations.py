"""Findings as workflow commands, which GitHub shows beside the line of code they name."""

from collections.abc import Iterator, Mapping
from typing import Any

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def annotations(document: Mapping[str, Any]) -> Iterator[str]:
    """One line per finding: `::error file=train.py,line=14,title=LG101 vanishing-gradient::message`.

    A finding without a source has neither `file` nor `line`. Escapes are those of GitHub's own toolkit: %, CR
    and LF everywhere, and : and , in properties.
    """
    for finding in document.get("findings") or ():
        level = _LEVELS.get(str(finding.get("severity")), "notice")
        properties = {
            **_place(finding.get("source")),
            "title": f"{finding.get('code')} {finding.get('name')}",
        }
        listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        yield f"::{level} {listed}::{_data(_words(finding))}"


def _words(finding: Mapping[str, Any]) -> str:
    cause = (finding.get("cause") or {}).get("summary")
    parts = (finding.get("message"), f"Cause: {cause}" if cause else None, finding.get("next"))
    return "\n".join(str(part) for part in parts if part)


def _place(source: str | None) -> dict[str, str]:
    """`train.py:14` as properties; a path may itself hold colons."""
    if not source:
        return {}
    path, separator, line = source.rpartition(":")
    return {"file": path, "line": line} if separator and line.isdigit() else {"file": source}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
