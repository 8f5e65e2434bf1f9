"""An arm of a trial: what is done to the script, or nothing; and one run of it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from livegrad.treat.choice import parse_choices
from livegrad.treat.prescription.extent import size_of_change
from livegrad.treat.trial.effect import Level

CONTROL = "control"
# How a run can end. "finished" includes losses that diverged; "stopped": hopeless, ended before its time.
ENDS = ("finished", "stopped", "failed", "refused")


@dataclass(frozen=True)
class Arm:
    """What is tried. name: "control", or the remedies as `--treat` takes them. size: how much it changes, as
    prescription.extent.size_of_change has it. proposal: what the prescription says of it, as JSON.
    """

    name: str
    size: tuple[int, ...] = ()
    proposal: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: str, proposal: Mapping[str, Any] | None = None) -> "Arm":
        """The arm of remedies as `--treat` takes them; UsageError for what cannot be read."""
        choices = parse_choices(spec)
        return cls(",".join(map(str, choices)), size_of_change(choices), proposal or {})

    @property
    def is_control(self) -> bool:
        return self.name == CONTROL

    @property
    def choices(self) -> list[str]:
        """The remedies one by one; empty for the control."""
        return [] if self.is_control else [str(choice) for choice in parse_choices(self.name)]

    def folder(self, number: int) -> str:
        """The name of the arm's folder; `number` is its place in the trial."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-").lower()[:40].strip("-")
        return f"{number}-{words or 'arm'}"


@dataclass(frozen=True)
class ArmRun:
    """One finished run of an arm, as trial.json keeps it.

    repetition: 0 is the script as it is, k gives it other seeds. end: one of ENDS. folder: of the recording,
    relative to the trial's; None where none was made. steps: optimizer steps taken. loss: level over the last
    tenth, infinity if it diverged, None if unknown. first, best: very first and best level. findings: code,
    name, severity, subject and message of each. learning: how the loss moved at the end. seconds_per_step:
    without livegrad's own cost. applied: what was done to each model, "model: remedies"; left_out: a remedy
    of the arm that was not, and why. reason: why it was stopped or failed.
    """

    arm: str
    repetition: int
    end: str
    folder: str | None = None
    steps: int = 0
    loss: float | None = None
    first: float | None = None
    best: float | None = None
    verdict: str | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    learning: str = "unknown"
    seconds_per_step: float | None = None
    seconds: float = 0.0
    exit_code: int | None = None
    applied: tuple[str, ...] = ()
    left_out: str | None = None
    reason: str | None = None

    @property
    def level(self) -> Level | None:
        """What it came down to, if that can be compared with others: a run that failed in training has an
        infinite loss, so has one that was stopped because its loss broke; of any other that was stopped it is
        not known.
        """
        if self.loss is None or self.end == "refused":
            return None
        if self.end == "stopped" and not math.isinf(self.loss):
            return None
        return Level(self.loss, math.inf if self.best is None else self.best)
