"""The life of one prescribing child: run the program to its first steps, end it, and try cures on copies."""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Optional

from livegrad.cli.at_start import LOADED_AT_START
from livegrad.cli.exit_code import OUR_FAILURE
from livegrad.cli.told_to_end import TERMINATED, GentleEnd
from livegrad.cli.voice import Voice
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.own_imports import forget_hiding, own_imports
from livegrad.watch.program import Program
from livegrad.watch.script import Outcome, leave, one_line, run_program
from livegrad.watch.torch_import import after_import

if TYPE_CHECKING:
    from livegrad.treat.prescription.child import Prescriber
    from livegrad.watch.onset import Onset


@dataclass
class PrescribedRun:
    """history: the run with the findings. into: the file to write. patience: seconds for trying, or None."""

    program: Program
    history: Path
    into: Path
    patience: float | None = None
    voice: Voice = field(default_factory=Voice)
    pid: int = field(default_factory=os.getpid)
    prescriber: Optional[Prescriber] = None  # noqa: UP045 - pyright cannot close the circle of imports
    onset: Optional[Onset] = None  # noqa: UP045 - as prescriber
    search_path: str | None = None
    outcome: Outcome | None = None
    end: GentleEnd | None = None

    def run(self) -> NoReturn:
        """Run the program's first steps, prescribe, and end the process."""
        self.end = GentleEnd()
        # Registered first, so called last: the program's own callbacks have had their say.
        atexit.register(self._at_exit)
        self.search_path = self.program.search_path()
        after_import("torch", self._start)
        if self.search_path is not None:
            forget_hiding(LOADED_AT_START, self.search_path)
        self.outcome = run_program(self.program)
        leave(self.outcome)

    def _start(self) -> None:
        """Listen for the beginning of training; called when the program has imported torch."""
        if os.getpid() != self.pid:
            return
        with own_imports(self.search_path):
            from livegrad.diagnose.standstill import to_be_treated
            from livegrad.run.reader import load
            from livegrad.treat.prescription.child import Prescriber
            from livegrad.watch.onset import Onset

            run = load(self.history)
            self.prescriber = Prescriber(to_be_treated(run), run)
            self.onset = Onset(self.prescriber)
            self.prescriber.listen()

    def _at_exit(self) -> None:
        if os.getpid() != self.pid or self.outcome is None or self.outcome.interrupted:
            return
        if self.end is not None and self.end.told:
            os._exit(TERMINATED)
        code = OUR_FAILURE
        try:
            # What is tried leaves nothing elsewhere, whatever happens to this process.
            self.into.parent.mkdir(parents=True, exist_ok=True)
            tempfile.tempdir = str(self.into.parent)
            with own_imports(self.search_path):
                code = self._conclude(self.outcome)
        except (KeyboardInterrupt, EnoughSteps):
            code = TERMINATED
        except BaseException as error:
            self.voice.warn(f"no prescription ({one_line(error)})")
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)

    def _conclude(self, outcome: Outcome) -> int:
        """Try what may cure each model, write it, and return the exit code."""
        from livegrad.treat.prescribe import PATIENCE
        from livegrad.treat.prescription.child import write

        if self.onset is not None:
            self.onset.close()
        if self.prescriber is None or not self.prescriber.beginners:
            said = outcome.error or "no model was seen to be trained"
            self.voice.warn(f"nothing can be prescribed: {said}")
            return OUR_FAILURE
        write(self.prescriber.prescriptions(self.patience or PATIENCE), self.into)
        return 0
