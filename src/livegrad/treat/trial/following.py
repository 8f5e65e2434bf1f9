"""What to type after a trial: the commands that lead on from what it found."""

from collections.abc import Mapping
from typing import Any

from livegrad.treat.trial.arm import CONTROL
from livegrad.treat.trial.budget import MINUTES
from livegrad.treat.trial.effect import Effect
from livegrad.treat.trial.state import Trial
from livegrad.treat.trial.winner import Winner
from livegrad.treat.trial.words import looks_better

_LONGER = 4


def following(
    trial: Trial, verdict: str, winner: Winner, found: Mapping[str, Effect], has_diff: bool
) -> list[dict[str, Any]]:
    """Return the commands in order of their worth, {"command": its words, "does": what it does}."""
    if verdict == "failed" or (CONTROL, 0) not in trial.runs:
        return []
    program = list(trial.identity.program.command)
    steps = [_report(trial)]
    if winner.name is not None:
        untouched = _step(["run", "--treat", winner.name, *program], "train with it, the source as it is")
        write = _step(["treat", "--write", *program], "show the diff, and write it if you say yes")
        steps = [write, untouched] if has_diff else [untouched]
    elif verdict == "undecided":
        steps = [_proof(trial, found, program), *steps]
    elif trial.forced:
        anew = ["treat", "--fresh", *_asked(trial), *program]
        steps = [_step(anew, "try what livegrad prescribes"), *_explained(trial), *steps]
    elif verdict == "uncured":
        more = len(trial.untried)
        steps = [*([_more_arms(trial, more, program)] if more else []), *_explained(trial), *steps]
    return steps


def _step(words: list[str], does: str) -> dict[str, Any]:
    return {"command": ["livegrad", *words], "does": does}


def _asked(trial: Trial) -> list[str]:
    """The options by which the same command finds this trial again."""
    budget = trial.budget
    steps = ["--steps", str(budget.steps)] if budget.steps is not None else []
    minutes = ["--minutes", f"{budget.minutes:g}"] if budget.minutes > MINUTES and not trial.whole else []
    return steps + minutes


def _proof(trial: Trial, found: Mapping[str, Effect], program: list[str]) -> dict[str, Any]:
    """More seeds where the runs were whole or an effect shows, longer runs where they were cut short."""
    if trial.whole or looks_better(trial, found):
        seeds = ["--seeds", str(trial.budget.seeds + 2)]
        return _step(["treat", *_asked(trial), *seeds, *program], "add seeds to what is there")
    budget = trial.budget
    longer = (
        ["--steps", str(_LONGER * budget.steps)]
        if budget.steps is not None
        else ["--minutes", f"{_LONGER * budget.minutes:g}"]
    )
    return _step(["treat", *longer, *program], "give every run longer")


def _more_arms(trial: Trial, more: int, program: list[str]) -> dict[str, Any]:
    arms = ["--arms", str(len(trial.candidates) + min(more, trial.budget.arms))]
    number = min(more, trial.budget.arms)
    return _step(
        ["treat", *_asked(trial), *arms, *program],
        f"try {number} more of the {more} that may work" if number < more else f"try the other {more} too",
    )


def _explained(trial: Trial) -> list[dict[str, Any]]:
    findings = trial.runs[CONTROL, 0].findings
    return [_step(["explain", findings[0]["code"]], "read what it is and what helps")] if findings else []


def _report(trial: Trial) -> dict[str, Any]:
    first = trial.runs[CONTROL, 0]
    return _step(["report", str(trial.folder / str(first.folder))], "see the report of the script as it is")
