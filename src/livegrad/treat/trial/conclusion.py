"""What a trial shows: effects, costs, the winner, as one document."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

import livegrad
from livegrad.theory.student import student_quantile
from livegrad.treat.trial.arm import CONTROL, Arm, ArmRun
from livegrad.treat.trial.document import TreatmentDocument
from livegrad.treat.trial.effect import Effect, confidence, effect, smallest_visible
from livegrad.treat.trial.following import following
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.winner import Candidate, Winner, choose, findings_left
from livegrad.treat.trial.words import notes_of, summary


def effects(trial: Trial) -> dict[str, Effect]:
    """Return each candidate's effect against the control, by name."""
    tried = len(trial.compared)
    control = _levels(trial, CONTROL)
    return {
        arm.name: effect(control, _levels(trial, arm.name), confidence(tried, _look(trial, arm.name)))
        for arm in trial.candidates
    }


def conclude(trial: Trial, rewrite: Mapping[str, Any] | None = None) -> TreatmentDocument:
    """Return the trial's conclusion so far. rewrite: diff, edits and instructions of the winner, if made."""
    found = effects(trial)
    winner = choose([_candidate(trial, arm, found[arm.name]) for arm in trial.candidates])
    first = trial.runs.get((CONTROL, 0))
    verdict = _verdict(trial, winner, found)
    written = rewrite or {}
    return TreatmentDocument(
        {
            "schema": 1,
            "kind": "treatment",
            "livegrad": livegrad.__version__,
            "verdict": verdict,
            "summary": summary(trial, verdict, winner, found),
            "script": trial.identity.target,
            "command": list(trial.identity.program.command),
            "path": str(trial.folder),
            "created": trial.created,
            "status": trial.status,
            "budget": _budget(trial),
            "metric": trial.metric,
            "control": None if first is None else _control(first),
            "prescription": trial.prescription,
            "arms": [_arm(trial, arm, found.get(arm.name)) for arm in trial.arms],
            "winner": _winner(winner),
            "diff": written.get("diff"),
            "edits": written.get("edits", []),
            "instructions": written.get("instructions", []),
            "next": following(trial, verdict, winner, found, bool(written.get("diff"))),
            "notes": notes_of(trial, found),
        }
    )


def winner_of(trial: Trial) -> str | None:
    """The name of the arm that wins, or None."""
    found = effects(trial)
    return choose([_candidate(trial, arm, found[arm.name]) for arm in trial.candidates]).name


def is_promising(trial: Trial) -> bool:
    """Whether an arm leaves nothing and came down further, though that is not proven."""
    found = effects(trial)
    candidates = [_candidate(trial, arm, found[arm.name]) for arm in trial.candidates]
    return any(c.verdict == "undecided" and not c.left and c.gain < 0 for c in candidates)


def _look(trial: Trial, arm: str) -> int:
    return 0 if arm in trial.settled else trial.looks


def _levels(trial: Trial, arm: str) -> dict[int, Any]:
    return {k: level for k, run in trial.of(arm).items() if (level := run.level) is not None}


def _candidate(trial: Trial, arm: Arm, found: Effect) -> Candidate:
    runs = trial.of(arm.name)
    left = findings_left({k: run.findings for k, run in runs.items()})  # type: ignore[arg-type]
    verdict = "dropped" if arm.name in trial.dropped else found.verdict
    return Candidate(arm.name, verdict, left, found.mean, arm.size)


def _verdict(trial: Trial, winner: Winner, found: Mapping[str, Effect]) -> str:
    """healthy: nothing to treat. improved: nothing was found, and an arm that was asked for, or with which a
    copy left its flat loss, is better all the same. cured: a healthy winner. relieved: a winner that leaves
    a finding. undecided: an arm may be better, but not for sure. uncured: none is. failed: the
    script cannot be treated.
    """
    if trial.status == "failed":
        return "failed"
    first = trial.runs.get((CONTROL, 0))
    if first is not None and not first.findings:
        if winner.name is not None:
            return "improved"
        return "undecided" if not trial.forced and is_promising(trial) else "healthy"
    if winner.name is not None:
        return "cured" if winner.healthy else "relieved"
    open_ = [name for name, one in found.items() if name not in trial.dropped]
    promising = any(found[name].verdict in ("undecided", "unknown") for name in open_)
    return "undecided" if promising else "uncured"


def _budget(trial: Trial) -> dict[str, Any]:
    budget = trial.budget
    level = confidence(len(trial.compared), trial.looks)
    return {
        "minutes": budget.minutes,
        "steps": trial.steps,
        "whole_script": trial.whole,
        "seeds": budget.seeds,
        "jobs": budget.jobs,
        "threads": budget.threads,
        "confidence": level,
        "smallest_visible_sd": smallest_visible(budget.seeds, level),
    }


def _control(first: ArmRun) -> dict[str, Any]:
    return {
        "verdict": first.verdict,
        "findings": [dict(finding) for finding in first.findings],
        "loss": first.loss,
        "first_loss": first.first,
        "learning": first.learning,
        "steps": first.steps,
        "seconds_per_step": first.seconds_per_step,
        "failure": first.reason,
    }


def _arm(trial: Trial, arm: Arm, found: Effect | None) -> dict[str, Any]:
    runs = trial.of(arm.name)
    losses = {k: run.loss for k, run in runs.items() if run.level is not None}
    mean, low, high = level_interval([loss for loss in losses.values() if loss is not None])
    findings = _worst_findings(list(runs.values()))
    verdicts = [run.verdict for run in runs.values() if run.verdict]
    return {
        "name": arm.name,
        "choices": arm.choices,
        "change": arm.proposal.get("change"),
        "reason": arm.proposal.get("reason"),
        "seeds": list(losses),
        "losses": list(losses.values()),
        "loss": mean,
        "loss_low": low,
        "loss_high": high,
        "effect": None if found is None else found.to_json(),
        "cost_per_step": _cost(trial, arm),
        "verdict": _worst(verdicts),
        "findings": findings,
        "left": list(findings_left({k: run.findings for k, run in runs.items()})),  # type: ignore[arg-type]
        "stopped": trial.dropped.get(arm.name),
        "left_out": next((run.left_out for run in runs.values() if run.left_out), None),
        "runs": [_run(run) for run in runs.values()],
    }


def _run(run: ArmRun) -> dict[str, Any]:
    kept = ("repetition", "end", "folder", "steps", "loss", "first", "best", "verdict", "seconds", "reason")
    return {name: getattr(run, name) for name in kept}


def level_interval(losses: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the mean over seeds and its 95 % interval, on the logarithm where all are positive.

    One loss has no interval; a diverged run makes the mean infinite.
    """
    if not losses:
        return None, None, None
    if not all(math.isfinite(loss) for loss in losses):
        return math.inf, None, None
    logarithmic = all(loss > 0 for loss in losses)
    values = np.log(losses) if logarithmic else np.asarray(losses)
    back = math.exp if logarithmic else float
    mean = float(values.mean())
    if len(losses) < 2:
        return back(mean), None, None
    half = student_quantile(0.95, len(losses) - 1) * float(values.std(ddof=1)) / math.sqrt(len(losses))
    return back(mean), back(mean - half), back(min(mean + half, 700.0))


def _cost(trial: Trial, arm: Arm) -> dict[str, Any] | None:
    """Time per step beside the control's, of equal repetitions; those after the first ran side by side."""
    mine, theirs = trial.of(arm.name), trial.of(CONTROL)
    pairs = {
        k: (mine[k].seconds_per_step, theirs[k].seconds_per_step)
        for k in mine
        if k in theirs and mine[k].seconds_per_step and theirs[k].seconds_per_step
    }
    later = {k: pair for k, pair in pairs.items() if k} or pairs
    if not later:
        return None
    ratio = median(a / b for a, b in later.values())  # type: ignore[operator]
    return {"seconds": median(a for a, _ in later.values()), "ratio": ratio}  # type: ignore[type-var]


def _worst(verdicts: Sequence[str]) -> str | None:
    order = ("unwell", "warning", "healthy")
    return min(verdicts, key=order.index, default=None)


def _worst_findings(runs: Sequence[ArmRun]) -> list[dict[str, Any]]:
    """Each code once, with how many repetitions have it."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        for code in dict.fromkeys(f["code"] for f in run.findings):
            one = next(f for f in run.findings if f["code"] == code)
            found.setdefault(code, {**one, "repetitions": 0})["repetitions"] += 1
    return list(found.values())


def _winner(winner: Winner) -> dict[str, Any] | None:
    if winner.name is None:
        return None
    return {
        "name": winner.name,
        "healthy": winner.healthy,
        "left": list(winner.left),
        "larger": winner.larger,
    }
