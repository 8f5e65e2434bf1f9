"""Treating the models of a running program, each when its training begins."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from math import isfinite
from typing import Any

import torch

from livegrad.errors import LivegradError
from livegrad.run.reader import Run
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.copies import copies_of, treat_alike
from livegrad.treat.optimizers import begun
from livegrad.treat.remedies import check
from livegrad.treat.remedy import describe
from livegrad.treat.treatment import Treatment, treat_body
from livegrad.watch.compilation import has_compiled
from livegrad.watch.enough import CannotGoOn
from livegrad.watch.lines import Lines
from livegrad.watch.onset import TrainingCall

# These remedies throw away what was learnt.
_DRAWN_ANEW = ("init", "recurrent", "pretrain")
_TRAINED = "it goes on with an earlier training, whose weights would be lost: its optimizer remembers steps"


# These act on all that an optimizer trains, which may be several models.
_OF_OPTIMIZERS = ("clip", "precision", "schedule")
_ACTING = "it acts on its optimizer already, as on that of a model before"


@dataclass(frozen=True, eq=False)
class Patient:
    """A model whose training began: what was done to it, nothing where all was refused."""

    name: str
    treatment: Treatment | None
    refused: tuple[tuple[Choice, str], ...]
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_treated(self) -> bool:
        """Whether any remedy was applied."""
        return self.treatment is not None and bool(self.treatment.choices)

    def to_json(self) -> dict[str, Any]:
        """As run.json keeps it."""
        done = self.treatment
        return {
            "model": self.name,
            "choices": [str(choice) for choice in done.choices] if done else [],
            "changes": [self._with_source(change) for change in describe(done.changes)] if done else [],
            "certificate": vars(done.certificate) if done and done.certificate else None,
            "refused": [{"choice": str(choice), "reason": reason} for choice, reason in self.refused],
            "edits": [edit.to_dict() for edit in done.edits] if done else [],
        }

    def _with_source(self, change: dict[str, Any]) -> dict[str, Any]:
        """Where the remedy did not say it: the line that made the module, for a parameter the module's."""
        where = change["where"]
        source = change["source"] or self.sources.get(where) or self.sources.get(where.rpartition(".")[0])
        return {**change, "source": source}


class RunTimeTreatment:
    """Applies `choices` to each model whose training begins; a listener of livegrad.watch.onset.Onset.

    say: takes one line of news, warn: one of a failure. changed: called with all patients as JSON objects
    when there is a new one. history: an earlier run of the same program. Raises UsageError for a remedy, a
    variant or an option that does not exist.
    """

    def __init__(
        self,
        choices: Sequence[Choice],
        say: Callable[[str], None],
        warn: Callable[[str], None],
        changed: Callable[[list[dict[str, Any]]], None] = lambda patients: None,
        history: Run | None = None,
    ) -> None:
        self.patients: list[Patient] = []
        self._unreached: list[str] = []
        self._choices = tuple(choices)
        self._say, self._warn, self._changed, self._history = say, warn, changed, history
        for choice in choices:
            check(choice)

    def begins(self, call: TrainingCall) -> None:
        """Treat this model. Raises CannotGoOn if everything was refused, and nothing is treated yet."""
        sources = {**_recorded_lines(self._history, type(call.model).__name__), **call.sources}
        body = Body(call.model, tuple(call.optimizers), call.args, dict(call.kwargs), sources=sources)
        body.history = self._history
        treatment, refused = self._treat(body, call)
        patient = Patient(call.name, treatment, tuple(refused), call.sources)
        self.patients.append(patient)
        if has_compiled():  # what was compiled of the untreated model
            torch.compiler.reset()
        if self.is_treated:  # else the error says them
            for choice, reason in refused:
                self._say(f"livegrad: {call.name}: {choice} is not applied: {reason}")
        if treatment is not None and patient.is_treated:
            self._say(f"livegrad: {call.name} is treated: {_summary(treatment)}")
        self._changed([patient.to_json() for patient in self.patients])
        self._give_up_unless_treated()

    def ends(self, lines: Lines) -> None:
        """The program is over, and the lines that step are known."""
        for patient in self.patients:
            if patient.treatment is not None and patient.treatment.parts:
                found = dict(_lines_of(patient.treatment.parts[0].body.optimizers, lines))
                patient.treatment.after_training(found)
        self._changed([patient.to_json() for patient in self.patients])

    def _treat(self, body: Body, call: TrainingCall) -> tuple[Treatment | None, list[tuple[Choice, str]]]:
        refused = [(c, _TRAINED) for c in self._choices if c.remedy in _DRAWN_ANEW and begun(call.optimizers)]
        refused += [(c, _ACTING) for c in self._choices if self._acts_already(c, call.optimizers)]
        choices = [choice for choice in self._choices if choice not in [choice for choice, _ in refused]]
        copies = copies_of(call.model, call.everyone)
        lines = {f"copy:{i}": call.made_at(copy) or "" for i, copy in enumerate(copies)}
        body.sources = {**body.sources, **lines}
        treatment: Treatment | None = None
        try:
            # What the model prints when it is called belongs to the program's own calls.
            with redirect_stdout(StringIO()):
                treatment = treat_body(
                    body, choices, refused=lambda choice, why: refused.append((choice, _reason(why)))
                )
                for alike in treat_alike(copies, body, treatment.choices, call.model):
                    alike.settle()
            treatment.settle()
        except Exception as error:  # it could not even be examined, or its copies not be treated
            if treatment is not None:
                treatment.undo()
            return None, [(choice, _reason(error)) for choice in self._choices]
        return treatment, refused

    def _acts_already(self, choice: Choice, optimizers: Sequence[torch.optim.Optimizer]) -> bool:
        """Whether this remedy acts on all these optimizers since another model of theirs was treated."""
        if choice.remedy not in _OF_OPTIMIZERS:
            return False
        parts = [part for p in self.patients if p.treatment is not None for part in p.treatment.parts]
        acting = {
            id(o) for part in parts if part.choice.remedy == choice.remedy for o in part.body.optimizers
        }
        return all(id(optimizer) in acting for optimizer in optimizers)

    def unreached(self, optimizer: torch.optim.Optimizer | None, reason: str) -> None:
        """The model of this optimizer cannot be treated."""
        who = "the program" if optimizer is None else f"what {type(optimizer).__name__} trains"
        self._unreached.append(f"{who} is not treated: {reason}")
        if self.is_treated:
            self._say(f"livegrad: {self._unreached[-1]}.")
        self._give_up_unless_treated()

    @property
    def is_treated(self) -> bool:
        """Whether anything was applied to any model."""
        return any(patient.is_treated for patient in self.patients)

    def _give_up_unless_treated(self) -> None:
        if not self.is_treated:
            refused = [f"{p.name}: {choice}: {why}" for p in self.patients for choice, why in p.refused]
            reasons = "; ".join([*refused, *self._unreached])
            self._warn(f"nothing could be treated, so the program was stopped before it trained. {reasons}")
            raise CannotGoOn


def _lines_of(optimizers: Sequence[torch.optim.Optimizer], lines: Lines) -> Iterator[tuple[str, str]]:
    """The lines of these optimizers, named as in Body.sources."""
    for i, optimizer in enumerate(optimizers):
        known = lines.of(optimizer)
        named = {f"step:{i}": known.step, "backward": known.backward, "scaler": known.scaler}
        yield from ((name, line) for name, line in named.items() if line is not None)


def _reason(error: Exception) -> str:
    known = isinstance(error, LivegradError)
    return str(error) if known else f"it failed ({type(error).__name__}: {error})"


def _summary(treatment: Treatment) -> str:
    """What was done, in one line."""
    changes = list(treatment.changes)
    said = ", ".join(str(choice) for choice in treatment.choices)
    if changes:
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        said += f" ({changes[0].where or 'the model'}: {changes[0].what}{more})"
    found = treatment.certificate
    if found is not None and isfinite(found.decades_before) and isfinite(found.decades_after):
        said += f"; its deepest layer {found.decades_before:+.1f} → {found.decades_after:+.1f} decades"
    return said


def _recorded_lines(run: Run | None, kind: str) -> dict[str, str]:
    """The lines of the optimizers of the one model of this kind, as an earlier run recorded them."""
    subjects = [] if run is None else [subject for subject in run.info.subjects if subject.type == kind]
    found: dict[str, str | None] = {}
    for i, optimizer in enumerate(subjects[0].optimizers if len(subjects) == 1 else ()):
        found[f"optimizer:{i}"], found[f"step:{i}"] = optimizer.source, optimizer.step
        found.setdefault("backward", optimizer.backward)
        found.setdefault("scaler", optimizer.scaler)
    return {name: line for name, line in found.items() if line is not None}
