"""The exit codes of every verb, and the findings that make one.

0 healthy or no threshold asked for, 1 livegrad failed, 2 wrong usage, 3 findings at or above `--fail-on`.
`livegrad run` gives the script's own code, and 3 only where the script succeeded.
"""

from collections.abc import Mapping
from typing import Any

OUR_FAILURE = 1
USAGE = 2
FINDINGS = 3


class FindingsExit(Exception):
    """Ends a verb with code 3: the threshold of `--fail-on` was met."""

    code = FINDINGS


def fails(document: Mapping[str, Any], threshold: str | None) -> bool:
    """Whether a report holds a finding at or above `threshold`: "error", "warning" (which includes errors),
    or None.
    """
    counted = {"error": {"error"}, "warning": {"error", "warning"}}.get(threshold or "", set())
    return any(finding.get("severity") in counted for finding in document.get("findings") or ())
