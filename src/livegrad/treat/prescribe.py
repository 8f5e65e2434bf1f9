"""Prescribing: which remedies can cure what ails a model, the best first, and which cannot, with the reason.

What may answer a finding stands in a table by its code and the kind of its cause
(livegrad.treat.prescription.candidates). What closed form or a remedy's own conditions refuse is left out and
said. The rest is tried on copies: each takes the program's first training steps, watched
(livegrad.treat.prescription.rehearsal), and is compared with an untreated copy. Of those that end the finding
and learn, the ones that do so about as well as the best are ordered by how little they change.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.errors import LivegradError
from livegrad.probe.twin import CannotCopy
from livegrad.run.reader import Run
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.candidates import candidates, impossible, words
from livegrad.treat.prescription.extent import size_of_change
from livegrad.treat.prescription.lesson import StandIn
from livegrad.treat.prescription.proposal import Prescription, Proposal, Refusal, advice
from livegrad.treat.prescription.ranking import Judged, Trial, judge, rank
from livegrad.treat.prescription.rehearsal import Outcome, Stage
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Assessment, Refused

# Seconds that all rehearsals together may take.
PATIENCE = 60.0
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
    serious = [f for f in findings if f.get("severity", "error") in _SERIOUS]
    if not serious:
        return Prescription()
    body.history = history if history is not None else body.history
    body.finding = body.finding or serious[0]
    refused = impossible(serious)
    said = [advice(text, (str(f["code"]),)) for f in serious if (text := words(f)) is not None]
    notes: list[str] = []
    if stage is None:
        stage = _stage(body, notes)
    tried = _Tried(body, stage, serious, patience)
    proposals = tried.proposals()
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

    def proposals(self) -> list[Proposal]:
        """The candidates that were not refused, the best first."""
        pairs = enumerate(candidates(self._findings))
        trials = [
            t for order, (choices, codes) in pairs if (t := self._trial(order, choices, codes)) is not None
        ]
        control = self._control()
        if control is None:
            trials.sort(key=lambda t: (size_of_change(t.choices), t.order))
            return [self._proposal(t, None) for t in trials]
        done = [t for trial in trials if (t := self._tried(trial)) is not None]
        ranked = rank([judge(t, control, self._wanted, control.codes) for t in done])
        return [self._proposal(j.trial, j) for j in ranked]

    def _trial(self, order: int, choices: tuple[Choice, ...], codes: tuple[str, ...]) -> Trial | None:
        """The candidate, or None where it is refused."""
        try:
            resolved = tuple(remedy(c.remedy).resolve(self._body, c) for c in choices)
            single = remedy(choices[0].remedy).assess(self._body, resolved[0]) if len(choices) == 1 else None
        except LivegradError as error:
            self.refused.append(Refusal(choices, str(error)))
            return None
        if single is not None and single.works is False:
            self._refuse(resolved, single.reason)
            return None
        return Trial(choices, codes, None, order)

    def _refuse(self, choices: tuple[Choice, ...], reason: str) -> None:
        if all(r.choices != choices for r in self.refused):
            self.refused.append(Refusal(choices, reason))

    def _control(self) -> Outcome | None:
        if self._stage is None:
            return None
        try:
            return self._stage.rehearse()
        except LivegradError as error:
            self.notes.append(f"nothing was tried: {error}")
            return None

    def _tried(self, trial: Trial) -> Trial | None:
        """The trial with its outcome; None where it is refused, or the same as one before."""
        assert self._stage is not None
        if self._watch.is_over:
            self.notes.append(f"{_spec(trial.choices)} was not tried: there was no more time")
            return trial
        try:
            outcome = self._stage.rehearse(trial.choices)
        except (Refused, LivegradError) as error:
            self._refuse(trial.choices, str(error))
            return None
        if outcome.choices in self._seen:
            return None
        self._seen.append(outcome.choices)
        return Trial(outcome.choices, trial.answers, outcome, trial.order)

    def _proposal(self, trial: Trial, judged: Judged | None) -> Proposal:
        assessment = self._assessment(trial.choices[0])
        measured: dict[str, float] = {}
        outcome = trial.outcome
        if outcome is not None and judged is not None:
            measured = {
                "audibility_decades": outcome.decades,
                "loss_after_first_steps": outcome.last,
                "progress_nats": judged.progress,
                "first_steps_count": float(len(outcome.losses)),
            }
        return Proposal(
            trial.choices, trial.answers, assessment.reason, assessment.before, assessment.predicted, measured
        )

    def _assessment(self, choice: Choice) -> Assessment:
        try:
            cure = remedy(choice.remedy)
            return cure.assess(self._body, cure.resolve(self._body, choice))
        except LivegradError as error:
            return Assessment(None, str(error))


class _Stopwatch:
    """Counts the time that this process works, not that in which others keep it waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = time.perf_counter(), time.process_time()

    @property
    def is_over(self) -> bool:
        wall, worked = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        return min(wall, worked) > self._seconds


def _spec(choices: Sequence[Choice]) -> str:
    return ",".join(str(choice) for choice in choices)
