"""From a run to a report: ask every rule about every subject, and put the answer into one document."""

from typing import Any

import numpy as np

import livegrad
from livegrad.diagnose.commands import with_commands
from livegrad.diagnose.confirmation import with_counterfactual
from livegrad.diagnose.finding import Finding
from livegrad.diagnose.gaps import is_blank, missing
from livegrad.diagnose.interventions import interventions, with_guard
from livegrad.diagnose.layer_rows import layer_rows
from livegrad.diagnose.ledger_rows import ledgers
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.report import Report, severity_rank
from livegrad.diagnose.rules import RULES, nonfinite
from livegrad.diagnose.rules.disconnected import SHUT
from livegrad.run.reader import Run

_VERDICT = {"error": "unwell", "warning": "warning"}


def diagnose(run: Run) -> Report:
    """Judge a recorded run and return the report. Pure: reads the run, changes nothing."""
    patients = [Patient(run, subject) for subject in run.subjects]
    findings = [finding for patient in patients for finding in examine(patient)]
    findings.sort(key=lambda finding: (severity_rank(finding.severity), finding.code))
    worst = min((severity_rank(f.severity) for f in findings), default=9)
    verdict = _VERDICT.get(("error", "warning", "info")[worst] if worst < 3 else "", "healthy")
    if verdict == "healthy" and is_blank(run):
        verdict = "warning"
    return Report(
        {
            "schema": 1,
            "livegrad": livegrad.__version__,
            "verdict": verdict,
            "summary": _summary(run, findings, patients),
            "findings": [with_commands(finding, run.info) for finding in findings],
            "layers": [row for patient in patients for row in layer_rows(patient)],
            "ledger": ledgers(patients),
            "run": _run_part(run, patients),
        }
    )


def examine(patient: Patient) -> list[Finding]:
    """Return the findings about one subject, each fault once: a symptom that another finding explains is left
    out.
    """
    # Before the first recorded step there is only one thing that can be known.
    rules = RULES if len(patient.scalars["step"]) else (nonfinite.find,)
    found = [finding for rule in rules for finding in rule(patient)]
    kept = [finding for finding in found if not any(_explains(other, finding) for other in found)]
    return with_guard(patient, [with_counterfactual(patient, finding) for finding in kept])


# What follows from what. Layers that hear nothing are not moved either; steps along an exploding gradient, or
# steps that are too large, wreck the weights, and whatever is wrong with their transport afterwards is their
# doing.
_SIGNS = {
    "LG101": ("LG302", "LG401", "LG404"),
    "LG103": ("LG101", "LG105", "LG106", "LG401", "LG402"),
    "LG105": ("LG106", "LG402"),
    "LG201": ("LG401",),
    "LG202": ("LG401", "LG404"),
    "LG301": ("LG105", "LG106", "LG401", "LG404"),
    "LG302": ("LG401", "LG404"),
    "LG402": ("LG101", "LG103", "LG105", "LG106", "LG401"),
    "LG403": ("LG401",),
    "LG501": ("LG103", "LG105", "LG106", "LG201", "LG202", "LG203", "LG401", "LG402"),
    "LG502": ("LG106",),
}
# What says only that it does not work follows from anything that says why, the earlier of these from the
# later.
_LAST_RESORT = ("LG503", "LG203")
_FOLLOW_LATER = ("LG103", "LG105", "LG402")
# A saturated tanh of float32 has slope zero to the last bit from |z| = 9.02 on.
_SHUT_BY = ("LG201", "LG501")
# Where both begin at one step the first of the pair is the cause.
_FIRST_OF_TWO = (("LG103", "LG402"), ("LG105", "LG402"))


def _explains(other: Finding, finding: Finding) -> bool:
    if other.severity == "info":
        return False
    if _starves_attention(other, finding):
        return True
    if finding.code in _LAST_RESORT and not _starves_attention(finding, other):
        rank = _LAST_RESORT.index(finding.code)
        return other.code not in _LAST_RESORT or _LAST_RESORT.index(other.code) > rank
    if (other.code, finding.code) == ("LG301", "LG202"):
        return (other.first_step or 0) < (finding.first_step or 0)
    if _is_shut(finding) and other.code in _SHUT_BY:
        return True
    if finding.code not in _SIGNS.get(other.code, ()):
        return False
    if other.code in _FOLLOW_LATER and finding.code != "LG106":
        first, later = other.first_step or 0, finding.first_step or 0
        return first < later or (first == later and (other.code, finding.code) in _FIRST_OF_TWO)
    beside = set(finding.layers) - set(other.layers) - other.covers
    return other.code != "LG101" or len(beside) <= len(finding.layers) // 4


def _is_shut(finding: Finding) -> bool:
    """Whether a gradient is exactly zero because all that reaches an operation lies on its flat side."""
    return finding.code == "LG404" and finding.cause is not None and finding.cause.kind == SHUT


def _starves_attention(collapse: Finding, starved: Finding) -> bool:
    """Between tokens that are one vector attention weights change nothing: queries and keys hear nothing."""
    if (collapse.code, starved.code) != ("LG203", "LG401"):
        return False
    return bool(starved.layers) and set(starved.layers) <= set(collapse.layers)


# Of findings whose own name does not go with "in": what is said before the layers; None: the message is said.
_OPENINGS = {
    "disconnected": "no gradient reaches",
    "nonfinite": "NaN or infinity in",
    "starved-layer": "starved:",
    "input-scale": None,
}


def _headline(finding: Finding) -> str:
    """What is wrong and where, the shortest way: "vanishing gradient in layers 0 to 46"."""
    opening = _OPENINGS.get(finding.name, f"{finding.name.replace('-', ' ')} in")
    if opening is None or not finding.layers_text:
        return finding.message
    return f"{opening} {finding.layers_text}"


def _summary(run: Run, findings: list[Finding], patients: list[Patient]) -> str:
    serious = [f for f in findings if f.severity != "info"]
    if serious:
        names = list(dict.fromkeys(f.name.replace("-", " ") for f in serious))
        first = _headline(serious[0])
        more = f"; also {', '.join(names[1:])}" if names[1:] else ""
        return f"{first[0].upper()}{first[1:]}{more}."
    if is_blank(run):
        return "Nothing can be said: no step was recorded, or none can be read."
    if missing(run):
        return "Nothing wrong was seen in what can be read, but part of the record is missing."
    if not patients:
        return "Nothing wrong was seen, but no model is known that trains."
    if run.info.scan_count == 0:
        return "Nothing wrong was seen, but no scan was taken: only parameters were watched."
    if findings:
        return f"Nothing needs doing. {findings[0].message[0].upper()}{findings[0].message[1:]}."
    unheard = [patient.subject.name for patient in patients if not patient.profiles]
    if unheard:
        return f"Nothing wrong was seen, but how well {' and '.join(unheard)} is heard was not measured."
    return "Every layer is heard at the output and moves at a healthy pace."


def _run_part(run: Run, patients: list[Patient]) -> dict[str, Any]:
    info = run.info
    loss_known = any(p.scalars["loss_known"].any() for p in patients)
    judged = [p.learning for p in patients if np.isfinite(p.learning.first)]
    # Several optimizers of a model write a row each, and so do several models.
    recorded = max((len(np.unique(p.scalars["step"])) for p in patients), default=0)
    return {
        "path": str(run.path),
        "id": info.id,
        "script": info.script,
        "command": list(info.command),
        "status": run.status if run.status in ("running", "finished", "failed", "detached") else "failed",
        "exit_code": info.exit_code,
        "steps": info.steps,
        "recorded_steps": recorded,
        "scans": info.scan_count,
        "seconds": info.seconds,
        "overhead": run.overhead,
        "overhead_seconds": info.overhead_seconds,
        "overhead_after_opening": run.overhead_after_opening,
        "budget": info.budget,
        "every": info.every,
        "rank": info.rank,
        "world_size": info.world_size,
        "python": info.python,
        "torch": info.torch,
        "device": info.device,
        "subjects": [_subject_part(p) for p in patients],
        "loss_first": judged[0].first if judged else None,
        "loss_last": judged[0].last if judged else (float("nan") if loss_known else None),
        "loss_best": judged[0].best if judged else None,
        "observed": _observed(run, recorded),
        "not_observed": [*missing(run), *(n.text for n in info.notes if n.kind == "not_observed")],
        **interventions(info),
    }


def _subject_part(patient: Patient) -> dict[str, Any]:
    rate = patient.scalars["learning_rate"]
    subject = patient.subject
    return {
        "name": subject.name,
        "type": subject.type,
        "optimizer": " and ".join(dict.fromkeys(o.type for o in subject.optimizers)) or None,
        "learning_rate": float(rate[-1]) if len(rate) else None,
        "parameters": subject.parameters,
    }


def _observed(run: Run, recorded: int) -> list[str]:
    observed = [f"{recorded} of {run.info.steps} optimizer steps: gradients, weights"]
    if scans := len(run.scans()):
        observed.append(f"{scans} scans: spine, audibility, transport, activations")
    return observed
