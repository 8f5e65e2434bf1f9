"""The JSON document on stdout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from livegrad.diagnose.report import Report


def write_json(report: Report, stream: TextIO) -> None:
    """Write the report's document as one strict JSON document, in signs that the stream's encoding has."""
    text = report.to_json()
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(report.to_dict(), indent=2, allow_nan=False)
    print(text, file=stream, flush=True)
