"""What livegrad itself did to a training, for the report: remedies before it began, a guard while it ran."""

from dataclasses import replace
from typing import Any

import numpy as np

from livegrad.diagnose.finding import Cause, Finding
from livegrad.diagnose.number import short
from livegrad.diagnose.patient import Patient
from livegrad.run.schema import GuardAct, RunInfo

_SKIPPED = (
    "The guard skipped {steps} whose gradient was not finite, so nothing of it reached the weights; what "
    "made it is still there."
)
_CLIPPED = "The guard scaled the gradient of such steps down to what is usual."


def interventions(info: RunInfo) -> dict[str, Any]:
    """The fields of the document's `run` that say what was done; none for a run that was only watched."""
    found: dict[str, Any] = {}
    if info.treatments:
        told = ("model", "choices", "changes", "certificate", "refused")
        found["treated"] = [{name: treated.to_json()[name] for name in told} for treated in info.treatments]
    if info.guard:
        found["guard"] = {kind: info.act_counts.get(kind, 0) for kind in ("clipped", "skipped")}
    if info.step_limit is not None:
        found["step_limit"] = info.step_limit
    if info.repetition is not None:
        found["repetition"] = info.repetition
    return found


def with_guard(patient: Patient, findings: list[Finding]) -> list[Finding]:
    """The findings about a guarded training: what the guard averted is less severe, and each of its acts is
    told of.
    """
    acts = [act for act in patient.run.info.acts if act.subject == patient.subject.id]
    if not acts:
        return findings
    clipped, skipped = ([act for act in acts if act.kind == kind] for kind in ("clipped", "skipped"))
    told = [_averted(patient, finding, clipped, skipped) for finding in findings]
    codes = {finding.code for finding in told}
    if clipped and "LG105" not in codes:
        told.append(_of_clipped(patient, clipped))
    if skipped and "LG301" not in codes:
        told.append(_of_skipped(patient, skipped))
    return told


def _averted(patient: Patient, finding: Finding, clipped: list[GuardAct], skipped: list[GuardAct]) -> Finding:
    if finding.code == "LG105" and clipped:
        evidence = {**finding.evidence, "steps_clipped_by_guard_count": len(clipped)}
        return replace(finding, evidence=evidence, explanation=f"{_CLIPPED} {finding.explanation}")
    if finding.code == "LG301" and skipped and _all_skipped(patient, skipped):
        evidence = {**finding.evidence, "steps_skipped_by_guard_count": len(skipped)}
        return replace(
            finding,
            severity="warning",
            evidence=evidence,
            explanation=_SKIPPED.format(steps=_steps(len(skipped))),
        )
    return finding


def _all_skipped(patient: Patient, skipped: list[GuardAct]) -> bool:
    """Whether the guard skipped each recorded step that broke, and no weight was ever broken."""
    steps = set(patient.scalars["step"][patient.broken].tolist())
    whole = not bool((np.nan_to_num(patient.pulses.weight_nonfinite) > 0).any())
    return whole and steps <= {act.step for act in skipped}


def _of_clipped(patient: Patient, clipped: list[GuardAct]) -> Finding:
    worst = max(clipped, key=lambda act: act.norm / act.limit if act.limit else 0.0)
    return Finding(
        code="LG105",
        name="gradient-spike",
        severity="info",
        subject=patient.subject.name,
        layers=(),
        message=f"the guard clipped {_steps(len(clipped))}, at step {worst.step} a gradient "
        f"{short(worst.norm / worst.limit)} times the usual",
        cause=Cause("one step's batch or weights"),
        evidence={
            "gradient_norm_at_spike": worst.norm,
            "gradient_norm_around": worst.limit,
            "steps_clipped_by_guard_count": len(clipped),
        },
        explanation=_CLIPPED,
        first_step=min(act.step for act in clipped),
        last_step=max(act.step for act in clipped),
        next="Nothing needs doing; if it recurs, look at that step's batch.",
    )


def _of_skipped(patient: Patient, skipped: list[GuardAct]) -> Finding:
    first = min(act.step for act in skipped)
    return Finding(
        code="LG301",
        name="nonfinite",
        severity="warning",
        subject=patient.subject.name,
        layers=(),
        message=f"the gradient was NaN or infinite at step {first}, and the guard skipped it",
        cause=Cause("one step's batch or weights"),
        evidence={"first_step": first, "steps_skipped_by_guard_count": len(skipped)},
        explanation=_SKIPPED.format(steps=_steps(len(skipped))),
        first_step=first,
        last_step=max(act.step for act in skipped),
        next=f"Look at the batch of step {first}: a logarithm or root of zero, a division by zero, a number "
        "that is not finite in the data.",
    )


def _steps(count: int) -> str:
    return "one step" if count == 1 else f"{count} steps"
