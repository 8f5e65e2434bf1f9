"""What livegrad itself did to a training, in words for the terminal and the page."""

from collections.abc import Mapping
from typing import Any

from livegrad.diagnose.number import count, from_json, short

MOST_CHANGES = 200


def interventions(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (label, words) for each thing that was done; nothing for a run that was only watched.

    Args:
        run: the part of the document of that name.
    """
    said = []
    for treated in run.get("treated") or ():
        if treated["choices"]:
            said.append(("treated:", _treated(treated)))
        for refused in treated["refused"]:
            reason = f"{treated['model']}: {refused['choice']}: {refused['reason']}"
            said.append(("not treated:", reason))
    guard = run.get("guard")
    if guard is not None:
        acts = [f"{_several(guard[kind], 'step')} {kind}" for kind in ("clipped", "skipped") if guard[kind]]
        said.append(("guard:", ", ".join(acts) or "on, and had nothing to do"))
    if run.get("step_limit") is not None:
        said.append(("ended:", f"after {count(run['step_limit'])} steps, as asked"))
    return said


def changes(run: Mapping[str, Any]) -> list[str]:
    """Return every change of the treated models, a line each."""
    lines = []
    for treated in run.get("treated") or ():
        for change in treated["changes"]:
            where = f"{treated['model']}.{change['where']}" if change["where"] else treated["model"]
            place = f" ({change['source']})" if change["source"] else ""
            lines.append(f"{where}: {change['what']}{place}")
    more = len(lines) - MOST_CHANGES
    return [*lines[:MOST_CHANGES], f"and {count(more)} more"] if more > 0 else lines


def _treated(treated: Mapping[str, Any]) -> str:
    number = len(treated["changes"])
    said = f"{treated['model']} with {', '.join(treated['choices'])}; {_several(number, 'change')}"
    certificate = treated["certificate"] or {}
    before, after = (from_json(certificate.get(name)) for name in ("decades_before", "decades_after"))
    if before is not None and after is not None and before == before and after == after:
        said += f", audibility of the deepest layer {before:+.1f} → {after:+.1f} decades"
    change = from_json(certificate.get("largest_output_change"))
    if certificate.get("preserves_function") and change is not None:
        said += f"; the same function, max |Δy| = {short(change)}"
    return said


def _several(number: int, thing: str) -> str:
    return f"{count(number)} {thing}{'s' * (number != 1)}"
