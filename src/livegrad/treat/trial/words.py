"""A trial's result in sentences."""

import math
from collections.abc import Mapping
from typing import Any

from livegrad.diagnose.number import count, percent, short
from livegrad.treat.trial.arm import CONTROL, ArmRun
from livegrad.treat.trial.effect import SAME, Effect, confidence, smallest_visible
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.winner import Winner


def summary(trial: Trial, verdict: str, winner: Winner, found: Mapping[str, Effect]) -> str:
    """The conclusion in one sentence."""
    if verdict == "failed":
        return str(trial.failure)
    first = trial.runs.get((CONTROL, 0))
    if first is None:
        return "nothing was run yet"
    if not trial.candidates and not first.findings:
        return _nothing_to_treat(first, trial.prescription)
    if verdict == "healthy":
        ails = "nothing ails it, and" if trial.forced else "nothing was found that needs a treatment, and"
        return f"{ails} {_no_winner(trial, 'uncured', found)}"
    if winner.name is not None:
        words = effect_words(found[winner.name])
        left = "" if winner.healthy else f", but it leaves {', '.join(winner.left)}"
        return f"{winner.name} is better than doing nothing: {words}{left}"
    return _no_winner(trial, verdict, found)


def _nothing_to_treat(first: ArmRun, looked_for: Mapping[str, Any] | None) -> str:
    moved = {"falling": "and the loss falls", "converged": "and the loss has come down"}.get(first.learning)
    if moved:
        return f"nothing to treat: the gradients arrive {moved}"
    said = (
        "nothing was found that livegrad could treat, though the loss is "
        f"{first.learning} after {count(first.steps)} steps"
    )
    if looked_for is None:
        return said
    why = [note for note in looked_for.get("notes", ()) if note]
    return f"{said}{f'; {why[0]}' if why else ', and no copy with another start, form or rate learnt more'}"


def _no_winner(trial: Trial, verdict: str, found: Mapping[str, Effect]) -> str:
    if not trial.candidates:
        return "no remedy can be tried: none is known to work for what was found here"
    if verdict == "uncured":
        more = f"; {len(trial.untried)} that may work were not tried" if trial.untried else ""
        if len(found) == 1:
            return f"{next(iter(found))} is no better than doing nothing{more}"
        return f"none of the {len(found)} remedies that were tried is better than doing nothing{more}"
    if (trial.metric or {}).get("subject") is None:
        return "livegrad saw no loss in this script, so no remedy can be proven better"
    seeds = trial.budget.seeds
    seen = f"{seeds} seed{'s' if seeds > 1 else ''}"
    near = looks_better(trial, found)
    if near:
        return f"{near} looks better, which {seen} cannot tell from chance"
    healthy = [
        n for n in found if n not in trial.dropped and not any(r.findings for r in trial.of(n).values())
    ]
    if healthy and not trial.whole:
        steps = count(trial.steps)
        return f"{healthy[0]} takes the findings away, and {steps} steps do not show what that is worth"
    return f"no remedy is better for sure with {seen}"


def looks_better(trial: Trial, found: Mapping[str, Effect]) -> str | None:
    """The arm that came down furthest beside the control, though not for sure; None where none did."""
    near = [n for n, one in found.items() if n not in trial.dropped and one.mean < -math.log(1 + SAME)]
    return min(near, key=lambda name: found[name].mean) if near else None


def effect_words(found: Effect) -> str:
    """An effect in words: "its loss is 1.2 % of that without it (0.94 % to 1.6 %)"."""
    without, with_ = found.diverged
    if without and not with_:
        seeds = len(found.seeds)
        return f"without it the loss diverges ({without} of {seeds} seeds), with it in none"
    if found.scale == "linear":
        return f"its loss is lower by {short(-found.mean)} ({short(-found.high)} to {short(-found.low)})"
    if found.ratio is None:
        return "no loss is known of both"
    ratio, low, high = found.ratio
    if math.isinf(found.low):
        return f"its loss is {share(ratio)} of that without it, with one seed"
    if found.verdict == "better" and found.high >= 0:
        return f"its loss is {share(ratio)} of that without it, and under half of it on every seed"
    return f"its loss is {share(ratio)} of that without it ({share(low)} to {share(high)})"


def share(ratio: float) -> str:
    """A ratio of losses: as a percentage below one, as a factor above."""
    return percent(ratio) if ratio < 1 else f"{short(ratio)} times"


def notes_of(trial: Trial, found: Mapping[str, Effect]) -> list[str]:
    """What has to be known to read the result rightly."""
    notes = []
    if trial.metric and trial.metric.get("note"):
        notes.append(str(trial.metric["note"]))
    first = trial.runs.get((CONTROL, 0))
    if first is not None and not first.findings and trial.proposed:
        notes.append("nothing was found that needs a treatment: what was tried let copies learn more")
    arms, seeds = len(trial.compared), trial.budget.seeds
    if arms and seeds > 1:
        visible = smallest_visible(seeds, confidence(arms, trial.looks))
        together = f" and hold for all {arms} remedies together" if arms > 1 else ""
        notes.append(
            f"intervals are of 95 %{together}; with {seeds} seeds an effect shows if it is over "
            f"{short(visible)} times its spread from seed to seed"
        )
    elif arms:
        notes.append("one seed has no interval, so nothing can be proven; ask for more: --seeds 3")
    if any(not one.replicates for one in found.values()):
        notes.append("the seed changes nothing in this script: all repetitions together are one sample")
    if trial.steps is not None and not trial.whole:
        runs = "every run" if arms else "the script"
        notes.append(
            f"{runs} was ended after {count(trial.steps)} steps; what comes later is not known "
            "(--steps, --minutes)"
        )
    return notes
