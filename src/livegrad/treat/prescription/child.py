"""Prescribing for a program from inside: its models are copied as their training begins, its first steps are
recorded, it is ended, and what may cure each model is tried on the copies.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from livegrad.errors import LivegradError
from livegrad.probe.twin import CannotCopy
from livegrad.run.reader import Run
from livegrad.treat.body import Body
from livegrad.treat.prescribe import PATIENCE, prescribe
from livegrad.treat.prescription.enough_lessons import EnoughLessons
from livegrad.treat.prescription.lesson import StandIn
from livegrad.treat.prescription.lessons import Lessons
from livegrad.treat.prescription.proposal import Prescription
from livegrad.treat.prescription.rehearsal import Copies, Stage, adopt, copies_of
from livegrad.treat.prescription.several import together
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.onset import TrainingCall

_SWALLOWED_STOPS = 3


@dataclass(frozen=True, eq=False)
class Beginner:
    """A model whose training began. base: it and its optimizers as they were then."""

    call: TrainingCall
    base: Copies | None
    obstacle: str | None = None


class Prescriber:
    """Listens for models that begin to train (livegrad.watch.onset.Onset), and ends the program once their
    first steps are known. `prescriptions` is to be asked for after the program has ended.

    findings: of the control run, as its report holds them; history: the run.
    """

    def __init__(self, findings: Sequence[Mapping[str, Any]], history: Run | None = None) -> None:
        self.beginners: list[Beginner] = []
        self._findings = list(findings)
        self._history = history
        self._enough = EnoughLessons()
        self._lessons = Lessons()
        self._lessons.heard = self._heard
        self._raised = 0
        self._pid = os.getpid()

    def listen(self) -> None:
        """To be called once the onset listens."""
        self._lessons.attach()

    # What the onset tells: see livegrad.watch.onset.Listener.

    def begins(self, call: TrainingCall) -> None:
        """Copy the model and its optimizers as they are, and record what follows."""
        if not self.beginners:
            self._lessons.start()
            self._enough = EnoughLessons()
        new = [o for o in call.optimizers if all(o is not known for known in self._lessons.optimizers)]
        base, obstacle = None, None
        try:
            base = copies_of((call.model,), new, hooks=True)
            for earlier in (b.base for b in self.beginners):
                if earlier is not None:
                    adopt(earlier, base)
        except CannotCopy as error:
            obstacle = str(error)
        self._lessons.add(call.model, new)
        self.beginners.append(Beginner(call, base, obstacle))

    def unreached(self, optimizer: torch.optim.Optimizer | None, reason: str) -> None:
        """There is nothing to prescribe for what is not called as a whole."""

    def _heard(self) -> None:
        if os.getpid() != self._pid:
            return
        if self._enough.reached(self._lessons.lessons, len(self._lessons.optimizers)):
            self._lessons.stop()
            self._raised += 1
            if self._raised > _SWALLOWED_STOPS:
                os._exit(1)
            raise EnoughSteps

    def prescriptions(self, patience: float = PATIENCE) -> list[tuple[str, Prescription]]:
        """(name of a model, what may cure it), of each model that findings are about."""
        self._lessons.stop()
        return [
            (beginner.call.name, self._prescribed(place, found, patience))
            for place, beginner in enumerate(self.beginners)
            if (found := self._about(beginner))
        ]

    def _about(self, beginner: Beginner) -> list[Mapping[str, Any]]:
        """Findings are about a subject by its name; of a single model all are."""
        names = {b.call.name for b in self.beginners}
        named = [f for f in self._findings if f.get("subject") == beginner.call.name]
        if len(self.beginners) == 1 or len(names) < len(self.beginners):
            return self._findings
        return named + [f for f in self._findings if f.get("subject") not in names]

    def _prescribed(self, place: int, findings: Sequence[Mapping[str, Any]], patience: float) -> Prescription:
        beginner = self.beginners[place]
        call, base = beginner.call, beginner.base
        if base is None:
            body = Body(call.model, (), None, sources=call.sources)
            found = prescribe(body, findings, self._history)
            return Prescription(found.proposals, found.refused, (beginner.obstacle or "", *found.notes))
        together = _joined([b.base for b in self.beginners if b.base is not None])
        body = Body(base.models[0], base.optimizers, call.args, dict(call.kwargs), sources=call.sources)
        lessons = self._lessons.lessons or [StandIn(call.args, dict(call.kwargs))]
        known = [i for i, b in enumerate(self.beginners) if b.base is not None]
        stage = Stage(
            together, [self.beginners[i].call.model for i in known], lessons, known.index(place), body
        )
        return prescribe(body, findings, self._history, stage=stage, patience=patience)


def _joined(several: Sequence[Copies]) -> Copies:
    models: list[nn.Module] = [model for copies in several for model in copies.models]
    optimizers = [optimizer for copies in several for optimizer in copies.optimizers]
    parameters = {key: value for copies in several for key, value in copies.parameters.items()}
    return Copies(models, optimizers, parameters, any(copies.hooks for copies in several))


def write(prescriptions: Sequence[tuple[str, Prescription]], path: Path) -> None:
    """Write what was prescribed for each model as one JSON object, all together at its top."""
    document = {
        **together(prescriptions).to_dict(),
        "models": [{"model": name, **found.to_dict()} for name, found in prescriptions],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote. Raises LivegradError where that is not there or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LivegradError(f"no prescription was made: {error}") from error
