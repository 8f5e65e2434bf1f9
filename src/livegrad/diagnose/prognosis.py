"""Will it train? What a few scanned steps foretell, before anything was learnt.

The rules of a whole run ask whether a fault lasts and does harm. After a few steps neither is known, so this
asks instead: does the signal reach through this depth (six e-foldings of audibility, with the interval of the
measured factor), does the optimizer move what it reaches, and do the steps stay finite and of a sane size?

    will-not-train   a condition for learning is missing, and nothing seen in these steps is mending it
    doubtful         it may be missing, or it depends on the task (how far back a recurrence must hear)
    trains           every condition that can be seen this early is met
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Any

from livegrad.diagnose.commands import with_commands
from livegrad.diagnose.depth_reach import DepthReach, depth_reach
from livegrad.diagnose.design import Design, design_of
from livegrad.diagnose.diagnose import diagnose, examine
from livegrad.diagnose.finding import Cause, Finding
from livegrad.diagnose.naming import span
from livegrad.diagnose.number import short
from livegrad.diagnose.omens import Omen, omens
from livegrad.diagnose.patient import Patient
from livegrad.diagnose.report import Report, severity_rank
from livegrad.diagnose.time_reach import TimeReach, time_reach
from livegrad.diagnose.what_if import Change, what_if
from livegrad.run.reader import Run

WILL_NOT, DOUBTFUL, TRAINS = VERDICTS = ("will-not-train", "doubtful", "trains")
_SEVERITY = {"fatal": "error", "doubt": "warning"}
_OVERALL = {WILL_NOT: "unwell", DOUBTFUL: "warning", TRAINS: "healthy"}
# What run.json calls the mode of a model that was looked at without taking a step.
AT_REST = "rest"
_NAMES = {
    "LG101": "vanishing-gradient",
    "LG103": "exploding-gradient",
    "LG106": "diverging",
    "LG401": "starved-layer",
}
# What can be seen without any finding of a rule: what is behind it, what is usual, what to do.
_WORDS = {
    "LG106": (
        "the steps lead uphill",
        "A step along the negative gradient lowers the loss, if it is small enough.",
        "Lower the learning rate ten times, and look for maximize=True or a loss with the wrong sign.",
    ),
    "LG401": (
        "the steps are too small for these weights",
        "A usual step changes a weight matrix by about a thousandth of its norm.",
        "Raise the learning rate, or look for what makes the gradient so small.",
    ),
}
_DEPTH_WORDS = (
    "each layer multiplies what is heard by less than one, or by more",
    "A network trains to a depth of about six e-foldings of the signal.",
    "The table says what each change would do at this depth.",
)


@dataclass(frozen=True)
class Prognosis:
    """What is foretold of one model. reach: None where depth was not measured or is under three layers."""

    id: int
    subject: str
    verdict: str
    omens: tuple[Omen, ...]
    findings: tuple[Finding, ...]
    reach: DepthReach | None
    time: tuple[TimeReach, ...]
    design: Design | None
    changes: tuple[Change, ...]


def foresee(run: Run, jacobians: Mapping[int, dict[str, Any]] | None = None) -> Report:
    """Judge the first steps of a training and return the report, with its `prognosis`. Pure.

    jacobians: subject id -> what was measured of its Jacobian, in the form of the report's schema.
    """
    kind = Unmoved if run.info.mode == AT_REST else Patient
    patients = [kind(run, subject) for subject in run.subjects]
    found = [prognosis_of(patient) for patient in patients if len(patient.scalars["step"])]
    document = diagnose(run).to_dict()
    verdict = min((p.verdict for p in found), key=VERDICTS.index, default=DOUBTFUL)
    if run.info.error is not None and verdict == TRAINS:
        verdict = WILL_NOT
    findings = sorted(
        (finding for p in found for finding in p.findings),
        key=lambda finding: (severity_rank(finding.severity), finding.code),
    )
    sentence = _sentence(run, found, verdict)
    document |= {
        "verdict": _OVERALL[verdict],
        "summary": sentence,
        "findings": [with_commands(finding, run.info) for finding in findings],
        "prognosis": {
            "verdict": verdict,
            "sentence": sentence,
            "steps": run.info.steps,
            "subjects": [_to_json(p, (jacobians or {}).get(p.id)) for p in found],
        },
    }
    # The folder of a check is gone when the report is read, and no budget holds for it.
    document["run"] |= {"path": None, "budget": None}
    return Report(document)


class Unmoved(Patient):
    """A model that was looked at without an optimizer: nothing is known of how its weights would move."""

    @cached_property
    def update_ratio(self) -> dict[int, float]:
        return {}

    @cached_property
    def answered_ratio(self) -> dict[int, float]:
        return {}

    @cached_property
    def swallowed(self) -> dict[int, float]:
        return {}

    @cached_property
    def eps_dominated(self) -> dict[int, float]:
        return {}


def prognosis_of(patient: Patient) -> Prognosis:
    """Return what is foretold of one model."""
    findings = examine(patient)
    reach = depth_reach(patient)
    against = omens(patient, findings, reach)
    design = design_of(patient)
    verdict = TRAINS
    if against:
        verdict = WILL_NOT if against[0].weight == "fatal" else DOUBTFUL
    return Prognosis(
        patient.subject.id,
        patient.subject.name,
        verdict,
        against,
        tuple(_weighed(patient, findings, against, reach)),
        reach,
        time_reach(patient),
        design,
        what_if(design) if design is not None and design.layers > 2 else (),
    )


def _weighed(
    patient: Patient, findings: list[Finding], against: tuple[Omen, ...], reach: DepthReach | None
) -> list[Finding]:
    """The findings with the severity that a check gives them, and one for each omen without a rule's."""
    weights = {omen.code: _SEVERITY[omen.weight] for omen in against}
    kept = [replace(f, severity=weights.get(f.code, "info")) for f in _each_once(findings)]
    known = {finding.code for finding in findings}
    return kept + [_finding(patient, omen, reach) for omen in against if omen.code not in known]


def _each_once(findings: list[Finding]) -> list[Finding]:
    """Of several operations of one loop the first speaks for all."""
    through_time: set[str] = set()
    kept = []
    for finding in findings:
        if finding.code in ("LG102", "LG104"):
            if finding.code in through_time:
                continue
            through_time.add(finding.code)
        kept.append(finding)
    return kept


def _finding(patient: Patient, omen: Omen, reach: DepthReach | None) -> Finding:
    spine = patient.profiles[-1].layers if patient.profiles else ()
    names = (spine[0].name, spine[-1].name) if spine else ()
    steps = patient.scalars["step"]
    cause, explanation, advice = _WORDS.get(omen.code, _DEPTH_WORDS)
    evidence: dict[str, Any] = {"steps_count": len(steps)}
    if reach is not None and omen.code not in _WORDS:
        cause = f"each layer multiplies what is heard by {short(reach.factor)}"
        evidence = {
            "layers_count": reach.layers,
            "factor_per_layer": reach.factor,
            "reach_layers": reach.reach,
        }
    return Finding(
        code=omen.code,
        name=_NAMES[omen.code],
        severity=_SEVERITY[omen.weight],
        subject=patient.subject.name,
        layers=names,
        layers_text=span(*names) if names else None,
        source=patient.line(spine[0]) if spine else None,
        message=omen.text,
        cause=Cause(cause),
        evidence=evidence,
        explanation=explanation,
        first_step=int(steps[0]),
        last_step=int(steps[-1]),
        next=advice,
    )


def _sentence(run: Run, found: list[Prognosis], verdict: str) -> str:
    if not found:
        return "No step of a model that can be judged was seen."
    if run.info.error is not None:
        return f"The program itself failed after {run.info.steps} steps: {run.info.error}."
    worst = next(p for p in found if p.verdict == verdict)
    who = f"{worst.subject}: " if len(found) > 1 else ""
    if worst.omens:
        text = worst.omens[0].text
        return f"{who}{text[0].upper()}{text[1:]}."
    if worst.reach is not None:
        depth = f"all {worst.reach.layers} {worst.reach.unit}s"
        return f"{who}The signal passes through {depth}, and the weights move."
    return f"{who}Nothing seen in {run.info.steps} steps stands against it."


def depth_sentence(reach: DepthReach) -> str:
    """Return how deep the design could go, in words: "24 layers; at 0.39 per layer the signal reaches about 7
    [6 – 8]".
    """
    head = f"{reach.layers} {reach.unit}s; at {short(reach.factor, 3)} per {reach.unit}"
    if not isfinite(reach.reach):
        low, high = short(reach.factor_low, 3), short(reach.factor_high, 3)
        return f"{reach.layers} {reach.unit}s; each passes on {low} – {high} of the signal: no limit in sight"
    high = "?" if not isfinite(reach.reach_high) else f"{reach.reach_high:.0f}"
    does = "stays in bounds for" if reach.growing else "reaches"
    return f"{head} the signal {does} about {reach.reach:.0f} [{reach.reach_low:.0f} – {high}]"


def _loops(reaches: tuple[TimeReach, ...]) -> list[TimeReach]:
    """One of the operations of each loop: those of a loop take as many steps and hear as far, give or take
    one.
    """
    kept: list[TimeReach] = []
    for time in sorted(reaches, key=lambda t: -t.reach):
        if all(abs(time.steps - k.steps) > 1 or abs(time.reach - k.reach) > 1 for k in kept):
            kept.append(time)
    return kept


def _to_json(p: Prognosis, jacobian: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if jacobian is None else {"jacobian": jacobian}
    return found | {
        "subject": p.subject,
        "verdict": p.verdict,
        "reasons": [vars(omen) for omen in p.omens],
        "depth": None if p.reach is None else {**vars(p.reach), "sentence": depth_sentence(p.reach)},
        "time": [vars(time) for time in _loops(p.time)],
        "design": None if p.design is None else vars(p.design),
        "what_if": [vars(change) for change in p.changes],
    }
