"""Prescribing: which remedies can cure what ails a model, the best first, and which cannot, with the reason.

What may answer a finding stands in a table by its code and the kind of its cause
(livegrad.treat.prescription.candidates). What closed form or a remedy's own conditions refuse is left out and
said. The rest is tried on copies: each takes the program's first training steps, watched
(livegrad.treat.prescription.rehearsal), and is compared with an untreated copy. Of those that end the finding
and learn, the ones that do so about as well as the best are ordered by how little they change.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.diagnose.number import from_json
from livegrad.errors import LivegradError
from livegrad.probe.twin import CannotCopy
from livegrad.run.reader import Run
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.candidates import candidates, impossible, words
from livegrad.treat.prescription.extent import EXTENTS, size_of_change
from livegrad.treat.prescription.lesson import StandIn
from livegrad.treat.prescription.proposal import Prescription, Proposal, Refusal, advice
from livegrad.treat.prescription.ranking import Judged, Trial, judge, rank, shortlist
from livegrad.treat.prescription.rehearsal import Outcome, Stage
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Assessment

# Seconds that all rehearsals together may take.
PATIENCE = 60.0
# Steps of the first look, at all candidates, and of the longer one at the best.
FIRST_LOOK, LONGER_LOOK = 16, 64
FINALISTS = 4
# A loss that was halved, in nats.
ENOUGH = math.log(2)
_SERIOUS = ("error", "warning")


def prescribe(
    body: Body,
    findings: Sequence[Mapping[str, Any]] = (),
    history: Run | None = None,
    *,
    stage: Stage | None = None,
    patience: float = PATIENCE,
) -> Prescription:
    """Return what can cure `findings` of `body`, the best first, and what cannot.

    findings: as the JSON document holds them; those of severity info need no cure. history: the run they come
    from, for thresholds that remedies take from what was recorded. stage: copies of the program as it was
    before its first step, and its first steps; without one a stand-in for its loss is used. patience: seconds
    that trying may take. Nothing of the body is changed.
    """
    serious = [_in_numbers(f) for f in findings if f.get("severity", "error") in _SERIOUS]
    if not serious:
        return Prescription()
    body.history = history if history is not None else body.history
    refused = impossible(serious)
    said = [advice(text, (str(f["code"]),)) for f in serious if (text := words(f)) is not None]
    notes: list[str] = []
    if stage is None:
        stage = _stage(body, notes)
    tried = _Tried(body, stage, serious, patience)
    proposals = tried.proposals()
    answered = {code for proposal in (*proposals, *said) for code in proposal.answers}
    said += [
        advice(str(f["next"]), (str(f["code"]),))
        for f in serious
        if str(f["code"]) not in answered and f.get("next")
    ]
    return Prescription((*proposals, *said), (*refused, *tried.refused), (*notes, *tried.notes))


def _stage(body: Body, notes: list[str]) -> Stage | None:
    if body.args is None:
        notes.append("nothing was tried: nothing is known of the model's inputs")
        return None
    try:
        stage = Stage.of(body)
    except CannotCopy as error:
        notes.append(f"nothing was tried: {error}")
        return None
    stage.lessons = [StandIn(body.args, body.kwargs, optimizers=tuple(range(len(body.optimizers))))]
    notes.append("the program's loss is not known here: random answers were learnt in its place")
    return stage if body.optimizers else None


class _Tried:
    """The candidates for one body's findings, tried as far as patience goes."""

    def __init__(
        self, body: Body, stage: Stage | None, findings: Sequence[Mapping[str, Any]], patience: float
    ) -> None:
        self.refused: list[Refusal] = []
        self.notes: list[str] = []
        self._body = body
        self._stage = stage
        self._wanted = frozenset(str(f["code"]) for f in findings)
        self._findings = findings
        self._watch = _Stopwatch(patience)
        self._seen: list[tuple[Choice, ...]] = []
        self._said: dict[tuple[str, str], tuple[Choice, Assessment]] = {}

    def proposals(self) -> list[Proposal]:
        """The candidates that were not refused, the best first."""
        pairs = enumerate(candidates(self._findings))
        trials = [
            t for order, (choices, codes) in pairs if (t := self._trial(order, choices, codes)) is not None
        ]
        if self._stage is not None:
            try:
                return self._rehearsed(self._stage, trials)
            except LivegradError as error:
                self.notes.append(f"nothing was tried: {error}")
        trials = [t for t in trials if self._assessed(t.choices[0], t.answers[0])[1].works is not False]
        trials.sort(key=lambda t: (size_of_change(t.choices), t.order))
        return [self._proposal(t, None) for t in trials]

    def _trial(self, order: int, choices: tuple[Choice, ...], codes: tuple[str, ...]) -> Trial | None:
        """The candidate with its first variant filled in, or None where it is refused."""
        try:
            first, assessment = self._assessed(choices[0], codes[0])
        except Exception as error:
            self._refuse(choices, _why(error))
            return None
        if len(choices) == 1 and assessment.works is False:
            self._refuse((first,), assessment.reason)
            return None
        return Trial((first, *choices[1:]), codes, None, order)

    def _assessed(self, choice: Choice, code: str) -> tuple[Choice, Assessment]:
        """The choice with its variant filled in, and what closed form says of it against this finding."""
        key = (str(choice), code)
        if key not in self._said:
            self._body.finding = next(f for f in self._findings if f["code"] == code)
            cure = remedy(choice.remedy)
            resolved = cure.resolve(self._body, choice)
            said = cure.assess(self._body, resolved)
            self._said[key] = self._said[str(resolved), code] = (resolved, said)
        return self._said[key]

    def _refuse(self, choices: tuple[Choice, ...], reason: str) -> None:
        if all(r.choices != choices for r in self.refused):
            self.refused.append(Refusal(choices, reason))

    def _rehearsed(self, stage: Stage, trials: Sequence[Trial]) -> list[Proposal]:
        """A short look at them, the small changes first, and a longer one at the best."""
        contest = stage.is_contest
        control = stage.rehearse((), FIRST_LOOK)
        first, untried = self._first_looks(stage, trials, control, contest)
        looked = [j for j in first if j.trial.outcome is not None]
        finalists = shortlist(looked, FINALISTS)
        others = [j for j in rank(first) if j not in finalists]
        if finalists:
            control = stage.rehearse((), LONGER_LOOK)
            again = [self._tried(stage, j.trial, LONGER_LOOK, 1.0) for j in finalists]
            finalists = rank([judge(t, control, self._wanted, contest) for t in again if t is not None])
        last = [self._proposal(trial, None) for trial in untried]
        return [self._proposal(j.trial, j) for j in (*finalists, *others)] + last

    def _first_looks(
        self, stage: Stage, trials: Sequence[Trial], control: Outcome, contest: bool
    ) -> tuple[list[Judged], list[Trial]]:
        """What the first steps of each were like, and those that were left out: once a change of one extent
        halves the loss those of larger extents are not needed, and a training stage is never rehearsed.
        """
        found: list[Judged] = []
        untried: list[Trial] = []
        enough: int | None = None
        for trial in sorted(trials, key=lambda t: (size_of_change(t.choices)[0], t.order)):
            extent, _ = size_of_change(trial.choices)
            stage_of_its_own = EXTENTS[extent] == "stage"  # costs more than all rehearsals together
            if stage_of_its_own or (enough is not None and extent > enough):
                untried.append(trial)
                continue
            tried = self._tried(stage, trial, FIRST_LOOK, 0.5)
            if tried is None:
                continue
            found.append(judge(tried, control, self._wanted, contest))
            if found[-1].cures and found[-1].progress > ENOUGH:
                enough = extent
        return found, untried

    def _tried(self, stage: Stage, trial: Trial, steps: int, share: float) -> Trial | None:
        """The trial with its outcome; None where it is refused, or the same as one before."""
        if self._watch.share_gone > share:
            if trial.outcome is None:
                self.notes.append(f"{_spec(trial.choices)} was not tried: there was no more time")
            return trial
        try:
            outcome = stage.rehearse(trial.choices, steps)
        except Exception as error:
            self._refuse(trial.choices, _why(error))
            return None
        if trial.outcome is None and outcome.choices in self._seen:
            return None
        self._seen.append(outcome.choices)
        return Trial(outcome.choices, trial.answers, outcome, trial.order)

    def _proposal(self, trial: Trial, judged: Judged | None) -> Proposal:
        measured: dict[str, float] = {}
        outcome = trial.outcome
        if outcome is not None and judged is not None:
            measured = {
                "audibility_decades": outcome.decades,
                "loss_after_first_steps": outcome.last,
                "progress_nats": judged.progress,
                "first_steps_count": float(len(outcome.losses)),
            }
        _, said = self._assessed(trial.choices[0], trial.answers[0])
        return Proposal(trial.choices, trial.answers, said.reason, said.before, said.predicted, measured)


class _Stopwatch:
    """Counts the time that this process works, not that in which others keep it waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = time.perf_counter(), time.process_time()

    @property
    def share_gone(self) -> float:
        wall, worked = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        return min(wall, worked) / self._seconds


def _why(error: Exception) -> str:
    """What a remedy says, or that it fails: then the others are still worth trying."""
    return str(error) if isinstance(error, LivegradError) else f"it fails ({type(error).__name__}: {error})"


def _in_numbers(finding: Mapping[str, Any]) -> dict[str, Any]:
    """The finding with NaN and infinity in its evidence as numbers, which JSON holds as text."""
    evidence = finding.get("evidence") or {}
    known = {
        k: from_json(v) if isinstance(v, str) and from_json(v) is not None else v for k, v in evidence.items()
    }
    return {**finding, "evidence": known}


def _spec(choices: Sequence[Choice]) -> str:
    return ",".join(str(choice) for choice in choices)
