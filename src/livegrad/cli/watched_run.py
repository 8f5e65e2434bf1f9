"""The life of one `livegrad run`: prepare the folder, run the program, conclude, leave as the program left."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from livegrad.cli.exit_code import FINDINGS, fails
from livegrad.cli.voice import Voice
from livegrad.watch.launch import Launch
from livegrad.watch.script import (
    Outcome,
    Program,
    finish_threads_and_callbacks,
    leave,
    one_line,
    run_program,
)
from livegrad.watch.torch_import import after_import

if TYPE_CHECKING:
    from livegrad.diagnose.report import Report
    from livegrad.watch.session import Session


@dataclass
class WatchedRun:
    """One watched program in this process.

    Attributes:
        folder: the run folder, absolute, made before the program starts; None on a rank that is not recorded.
        pid: of the process that trains. A forked child runs the same code and must neither write nor speak.
    """

    program: Program
    folder: Path | None
    budget: float
    every: int | None
    voice: Voice
    pid: int = field(default_factory=os.getpid)
    session: Session | None = None

    @classmethod
    def prepare(
        cls, program: Program, *, out: Path | None, budget: float, every: int | None, quiet: bool
    ) -> WatchedRun:
        """Make the run folder. Raises UsageError where it cannot be made; nothing has been run then."""
        launch = Launch.of_this_process()
        folder = launch.make_run_folder(out, _stem(program))
        voice = Voice(quiet=quiet, mute=launch.rank != 0)
        return cls(program, folder, budget, every, voice)

    def run(self, *, as_json: bool, fail_on: str | None) -> NoReturn:
        """Run the program to its end, say what was found and end the process."""
        if self.folder is not None:
            after_import("torch", self._start)
        outcome = run_program(self.program)
        finish_threads_and_callbacks()
        code = None
        if os.getpid() == self.pid:
            code = self._conclude_safely(outcome, as_json, fail_on)
        leave(outcome, code)

    def _start(self) -> None:
        if os.getpid() != self.pid:
            return
        try:
            from livegrad.watch.session import WatchOptions, start

            options = WatchOptions(
                path=self.folder,
                budget=self.budget,
                every=self.every,
                command=self.program.command,
                mode=self.program.kind,
                script=self.program.target if self.program.kind == "script" else None,
                quiet=self.voice.quiet,
            )
            session = start(options)
            session.on_message = self.voice.hear
            self.session = session
        except Exception as error:
            self.voice.warn(f"could not start watching, the program runs unwatched ({one_line(error)})")

    def _conclude_safely(self, outcome: Outcome, as_json: bool, fail_on: str | None) -> int | None:
        try:
            return self._conclude(outcome, as_json, fail_on)
        except KeyboardInterrupt:
            self.voice.warn(
                f"interrupted before the report was ready. Ask again: livegrad report {self.folder}"
            )
        except Exception as error:
            self.voice.warn(f"no report ({one_line(error)})")
        return None

    def _conclude(self, outcome: Outcome, as_json: bool, fail_on: str | None) -> int | None:
        recorded = self.session.finish(outcome.exit_code, outcome.error) if self.session else None
        if recorded is None:
            self._nothing_trained()
            return None
        if self.voice.mute:
            return None
        report = self._report(recorded)
        if as_json:
            _print_json(report)
        failed = outcome.exit_code == 0 and fails(report.to_dict(), fail_on)
        return FINDINGS if failed else None

    def _nothing_trained(self) -> None:
        if self.folder is not None:
            with suppress(OSError):
                self.folder.rmdir()  # only if nothing was written
            with suppress(OSError):
                self.folder.parent.rmdir()
        self.voice.say(
            "livegrad: no optimizer step was seen, so there is nothing to say about this program's gradients."
        )

    def _report(self, folder: Path) -> Report:
        """The report of the finished run, on the screen and as report.html."""
        import livegrad

        run = livegrad.load(folder)
        report = run.report()
        document = report.to_dict()
        page: Path | None = folder / "report.html"
        try:
            from livegrad.view.html import write_report

            write_report(run, document, page)
        except Exception as error:
            page = None
            self.voice.warn(f"no HTML report ({one_line(error)})")
        if not self.voice.quiet:
            _show(document, page)
        return report


def _show(document: dict, page: Path | None) -> None:
    from contextlib import redirect_stderr

    from livegrad.view.console import make_console, render_report

    if sys.__stderr__ is None:
        return
    with redirect_stderr(sys.__stderr__):
        render_report(document, make_console(), page)
        sys.__stderr__.flush()


def _print_json(report: Report) -> None:
    if sys.__stdout__ is not None:
        print(report.to_json(), file=sys.__stdout__, flush=True)


def _stem(program: Program) -> str:
    if program.kind == "code":
        return "code"
    if program.kind == "module":
        return program.target.rpartition(".")[2]
    return Path(program.target).absolute().stem
