"""The command lines of a trial's children: `livegrad run` with a step limit, another seed, remedies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livegrad.treat.trial.arm import Arm
from livegrad.watch.program import Program

PRESCRIPTION = "prescription"


@dataclass(frozen=True)
class Commands:
    """Arguments for `python -m livegrad`, for one program."""

    program: Program

    def run(
        self, arm: Arm, repetition: int, folder: Path, steps: int | None = None, seconds: float | None = None
    ) -> tuple[str, ...]:
        """One run of an arm, recorded under `folder`, ended after so many steps or seconds of training."""
        options = ["--out", str(folder), "--repetition", str(repetition)]
        if steps is not None:
            options += ["--steps", str(steps)]
        if seconds is not None:
            options += ["--seconds", f"{seconds:g}"]
        if not arm.is_control:
            options += ["--treat", arm.name]
        return ("run", *options, *self.program.command)

    def prescribe(self, history: Path, folder: Path) -> tuple[str, ...]:
        """The program up to its first training step, where it is said what may cure it."""
        raise NotImplementedError

    def read_prescription(self, folder: Path, code: int) -> dict[str, Any]:
        raise NotImplementedError
