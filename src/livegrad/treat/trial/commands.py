"""The command lines of a trial's children: `livegrad run` with a step limit, other seeds, remedies."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livegrad.treat.trial.arm import Arm
from livegrad.treat.trial.process import last_words
from livegrad.watch.program import Program

PRESCRIPTION = "prescription"
_FILE = "prescription.json"


@dataclass(frozen=True)
class Commands:
    """Arguments for `python -m livegrad`, for one program. patience: seconds that prescribing may take."""

    program: Program
    patience: float = 60.0

    def run(
        self,
        arm: Arm,
        repetition: int,
        folder: Path,
        steps: int | None = None,
        seconds: float | None = None,
        history: Path | None = None,
    ) -> tuple[str, ...]:
        """One run of an arm, recorded under `folder`, ended after so many steps or seconds of training.

        history: the control's run, from which remedies take their thresholds.
        """
        options = ["--out", str(folder), "--repetition", str(repetition)]
        if steps is not None:
            options += ["--steps", str(steps)]
        if seconds is not None:
            options += ["--seconds", f"{seconds:g}"]
        if not arm.is_control:
            options += ["--treat", arm.name]
            options += ["--history", str(history)] if history is not None else []
        return ("run", *options, *self.program.command)

    def prescribe(self, history: Path, folder: Path) -> tuple[str, ...]:
        """The program up to its first training steps, where what may cure it is tried on copies."""
        files = ["--history", str(history), "--into", str(folder / _FILE)]
        return ("prescribe", *files, "--patience", f"{self.patience:g}", *self.program.command)

    def read_prescription(self, folder: Path, code: int) -> dict[str, Any]:
        """What the prescribing child wrote; without it a prescription of nothing, and why."""
        try:
            return json.loads((folder / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = last_words(folder) or f"exit code {code}"
            return {"proposals": [], "refused": [], "notes": [f"nothing could be prescribed: {said}"]}
