"""Prescribing: which remedies can cure what ails a model, the best first, and which cannot, with the reason.

What may answer a finding stands in a table by its code and the kind of its cause
(livegrad.treat.prescription.candidates). What closed form or a remedy's own conditions refuse is left out and
said. The rest is tried on copies: each takes the program's first training steps, watched
(livegrad.treat.prescription.rehearsal), and is compared with an untreated copy. Of those that end the finding
and learn, the ones that do so about as well as the best are ordered by how little they change.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.diagnose.number import from_json
from livegrad.probe.twin import CannotCopy
from livegrad.run.reader import Run
from livegrad.treat.body import Body
from livegrad.treat.prescription.ascent import climbs
from livegrad.treat.prescription.candidates import impossible, words
from livegrad.treat.prescription.following import LONGER_LOOK
from livegrad.treat.prescription.lesson import StandIn
from livegrad.treat.prescription.proposal import Prescription, Proposal, advice
from livegrad.treat.prescription.rehearsal import Stage
from livegrad.treat.prescription.tried import Tried

# Seconds that all rehearsals together may take.
PATIENCE = 60.0
# A copy has learnt what an untreated one has not if its loss is lower by a tenth.
LEARNT_NATS = 0.1
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
    if (why := climbs(body.optimizers, codes := tuple(str(f["code"]) for f in serious))) is not None:
        return Prescription((advice(why, codes),), tuple(impossible(serious)))
    refused = impossible(serious)
    said = [advice(text, (str(f["code"]),)) for f in serious if (text := words(f)) is not None]
    notes: list[str] = []
    if stage is None:
        stage = _stage(body, notes)
    if stage is not None and any(lesson.scaled for lesson in stage.lessons):
        # A line is not known of it, but that it is there.
        body.sources = {"scaler": "", **body.sources}
    tried = Tried(body, stage, serious, patience)
    proposals = _worth_trying(tried.proposals(), serious)
    answered = {code for proposal in (*proposals, *said) for code in proposal.answers}
    said += [
        advice(str(f["next"]), (str(f["code"]),))
        for f in serious
        if str(f["code"]) not in answered and f.get("next")
    ]
    # What is refused as it stands may be proposed with an option of its own.
    done = {(c.remedy, c.variant) for p in proposals if len(p.choices) == 1 for c in p.choices}
    refused += [r for r in tried.refused if not {(c.remedy, c.variant) for c in r.choices} <= done]
    return Prescription((*proposals, *said), tuple(refused), (*notes, *tried.notes))


def _worth_trying(proposals: Sequence[Proposal], findings: Sequence[Mapping[str, Any]]) -> Sequence[Proposal]:
    """All of them; where nothing was found that needs a treatment, those with which a copy has learnt more.
    The few steps of a first look do not tell that from noise.
    """
    if not all(finding.get("tentative") for finding in findings):
        return proposals
    far = [p for p in proposals if p.measured.get("first_steps_count", 0.0) >= LONGER_LOOK]
    return [p for p in far if p.measured["progress_nats"] > LEARNT_NATS]


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


def _in_numbers(finding: Mapping[str, Any]) -> dict[str, Any]:
    """The finding with NaN and infinity in its evidence as numbers, which JSON holds as text."""
    evidence = finding.get("evidence") or {}
    known = {
        k: from_json(v) if isinstance(v, str) and from_json(v) is not None else v for k, v in evidence.items()
    }
    return {**finding, "evidence": known}
