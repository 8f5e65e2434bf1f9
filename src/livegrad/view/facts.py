"""Facts about a run, as (label, value) pairs for the report."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from livegrad.diagnose.number import count, duration, from_json, percent, short
from livegrad.view.interventions import changes, interventions

if TYPE_CHECKING:
    from livegrad.run.reader import Run

Facts = list[tuple[str, str]]


def when(run: "Run") -> str:
    """Return when the run began, to the minute, in UTC; nothing where that is unknown."""
    try:
        return f"{datetime.fromisoformat(run.info.created or ''):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


def key_facts(document: Mapping[str, Any]) -> Facts:
    """Return what is read first: steps, time, loss, and what watching cost."""
    run = document["run"]
    facts = [("steps", count(run["steps"])), ("time", duration(run["seconds"]))]
    if from_json(run["loss_first"]) is not None:
        facts.append(("loss, first to last", f"{short(run['loss_first'], 3)} → {short(run['loss_last'], 3)}"))
    facts.append(("scans", count(run["scans"])))
    facts.append(("cost of watching", overhead(run)))
    if run["status"] != "finished":
        facts.append(("the run", status(run)))
    return facts + [(label.rstrip(":"), words) for label, words in interventions(run)]


def overhead(run: Mapping[str, Any]) -> str:
    """Return livegrad's share of the time, and whether that kept to the budget."""
    share, budget = from_json(run.get("overhead")), from_json(run.get("budget"))
    if share is None:
        return "unknown"
    said = f"{percent(share)} of the time"
    if budget is not None and share > budget:
        later = from_json(run.get("overhead_after_opening"))
        since = f", {percent(later)} since step 100" if later is not None and later <= budget else ""
        said += f" (budget {percent(budget)}{since})"
    return said


def status(run: Mapping[str, Any]) -> str:
    """Return how the run ended, in words."""
    words = {"running": "is still running", "failed": "failed", "detached": "went on unwatched"}
    said = words.get(run["status"], str(run["status"]))
    return f"{said} (exit code {run['exit_code']})" if run.get("exit_code") else said


def run_facts(run: "Run", document: Mapping[str, Any]) -> Facts:
    """Return the run's details; what is unknown is left out."""
    told, info = document["run"], run.info
    facts = [
        ("command", shlex.join(told["command"] or ()) or None),
        ("run", told["path"]),
        ("ended", status(told) if told["status"] != "finished" else "finished"),
        ("error", info.error),
        ("steps recorded", f"{count(told['recorded_steps'])} of {count(told['steps'])}"),
        ("cost of watching", f"{overhead(told)}, {duration(told['overhead_seconds'])}"),
        ("rank", f"{told['rank']} of {told['world_size']}" if (told["world_size"] or 1) > 1 else None),
        ("device", told["device"]),
        ("torch, Python", " · ".join(filter(None, (told["torch"], told["python"])))),
        ("platform", info.platform if info.platform != "?" else None),
        ("git", _git(info.git)),
    ]
    several = len(told["subjects"]) > 1
    for subject in told["subjects"]:
        facts += [(f"model {subject['name']}" if several else "model", subject_text(subject))]
    return [(label, str(value)) for label, value in facts if value]


def subject_text(subject: Mapping[str, Any]) -> str:
    """Return "MLP, 104,522 parameters, Adam, learning rate 0.001"."""
    parts = [subject.get("type")]
    if subject.get("parameters") is not None:
        parts.append(f"{count(subject['parameters'])} parameters")
    parts.append(subject.get("optimizer"))
    if subject.get("learning_rate") is not None:
        parts.append(f"learning rate {short(subject['learning_rate'])}")
    return ", ".join(part for part in parts if part)


def _git(git: Mapping[str, Any] | None) -> str | None:
    if not git or not git.get("commit"):
        return None
    return f"{str(git['commit'])[:12]}{', with changes' if git.get('dirty') else ''}"


def what_was_observed(run: "Run", document: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return lists under headings: what livegrad changed, what was observed, what not, what happened."""
    told = document["run"]
    unseen = set(told["not_observed"])
    notes = [note for note in run.info.notes if note.kind != "not_observed" and note.text not in unseen]
    happened = [
        f"step {count(note.step)}: {note.text}" if note.step is not None else note.text for note in notes
    ]
    return [
        ("Changed before it trained", changes(told)),
        ("Not observed", list(told["not_observed"])),
        ("Observed", list(told["observed"])),
        ("Noted on the way", happened[:50]),
    ]
