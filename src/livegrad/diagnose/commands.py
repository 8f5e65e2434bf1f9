"""What to type to try a finding's remedies on the program that was recorded."""

import shlex
from typing import Any

from livegrad.diagnose.finding import Finding
from livegrad.run.schema import RunInfo

APPLIED = (
    "init", "activation", "normalize", "clip", "schedule", "precision", "skip", "recurrent", "regularize",
    "pretrain",
)  # fmt: skip
"""Remedies that livegrad applies itself; others (data, loss, connect) are changes of the program by hand."""


def with_commands(finding: Finding, info: RunInfo) -> dict[str, Any]:
    """Return the finding as JSON, with the command that tries each remedy where livegrad can apply it."""
    document = finding.to_json()
    if finding.severity != "info":
        document["remedies"] = [
            {**remedy, "command": remedy["command"] or command_for(remedy["name"], info)}
            for remedy in document["remedies"]
        ]
    return document


def command_for(remedy: str, info: RunInfo) -> str | None:
    """`livegrad treat --try init train.py` for a script or module, a call for one's own loop; else None."""
    if remedy not in APPLIED:
        return None
    if info.mode in ("script", "module") and info.command and info.command[0] != "-":
        return f"livegrad treat --try {remedy} {shlex.join(info.command)}"
    if info.mode == "watch":
        return f'livegrad.treat(model, "{remedy}", optimizer, inputs=batch)'
    return None
