"""The life of one `livegrad check`: run the program's first steps, stop it, say what they foretell."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Optional, TextIO

from livegrad.cli.at_start import LOADED_AT_START
from livegrad.cli.exit_code import FINDINGS, OUR_FAILURE, fails
from livegrad.cli.json_output import write_json
from livegrad.cli.voice import Voice
from livegrad.watch.launch import Launch
from livegrad.watch.own_imports import forget_hiding, own_imports
from livegrad.watch.program import Program
from livegrad.watch.script import Outcome, leave, one_line, run_program
from livegrad.watch.torch_import import after_import

if TYPE_CHECKING:
    from livegrad.watch.check import Stop
    from livegrad.watch.jacobians import Jacobians
    from livegrad.watch.session import Session


@dataclass(frozen=True)
class CheckOptions:
    """steps: optimizer steps to look at. page: where to write the HTML report, or None. fail_on: "error",
    "warning" or None. jacobian: whether to measure the Jacobian's extremes.
    """

    steps: int = 10
    as_json: bool = False
    page: Path | None = None
    fail_on: str | None = None
    jacobian: bool = False


@dataclass
class CheckedRun:
    """One program being checked in this process.

    folder: a temporary one for the recording. out: where the result goes; the program's own stdout is
    elsewhere with --json. pid: of the process that trains; a forked child neither writes nor speaks.
    """

    program: Program
    options: CheckOptions
    voice: Voice = field(default_factory=Voice)
    pid: int = field(default_factory=os.getpid)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="livegrad-check-")))
    out: TextIO | None = None
    session: Optional[Session] = None  # noqa: UP045 - pyright cannot close the circle of imports over `|`
    stop: Optional[Stop] = None  # noqa: UP045 - as session
    jacobians: Optional[Jacobians] = None  # noqa: UP045
    outcome: Outcome | None = None
    asked: bool = False
    search_path: str | None = None
    concluded: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> NoReturn:
        """Run the program's first steps, say what was found and end the process."""
        # Registered first, so called last: the program's own callbacks have had their say.
        atexit.register(self._at_exit)
        if Launch.of_this_process().rank != 0:
            self.voice.mute = True
        self.out = self._own_stdout() if self.options.as_json else sys.__stdout__
        after_import("torch", self._start)
        self.search_path = self.program.search_path()
        if self.search_path is not None:
            forget_hiding(LOADED_AT_START, self.search_path)
        self.outcome = run_program(self.program)
        leave(self.outcome)

    def _own_stdout(self) -> TextIO:
        """livegrad's own way to stdout; the program's stdout, and its children's, is stderr from now on."""
        sys.stdout.flush()
        ours = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding or "utf-8")
        os.dup2(2, 1)
        return ours

    def _start(self) -> None:
        """Start the recorder; called when the program has imported torch."""
        if os.getpid() != self.pid:
            return
        self.asked = True
        with own_imports(self.search_path):
            from livegrad.watch.check import Stop
            from livegrad.watch.session import WatchOptions, start

            options = WatchOptions(
                path=self.folder / "run",
                command=self.program.command,
                mode=self.program.kind,
                script=self.program.target if self.program.kind == "script" else None,
                quiet=True,
                every_scan=True,
            )
            self.session = session = start(options)
            session.on_message = self._hear
            told = None
            if self.options.jacobian:
                from livegrad.watch.jacobians import Jacobians

                self.jacobians = Jacobians()
                told = self.jacobians.after_step
            self.stop = Stop(session, self.options.steps, self._last_resort, told)

    def _hear(self, kind: str, message: Any) -> None:
        if kind == "warning":
            self.voice.warn(str(message.get("text")))

    def _last_resort(self) -> None:
        """The program does not end by itself: conclude here and end the process."""
        self._end(Outcome(0))

    def _at_exit(self) -> None:
        if os.getpid() == self.pid and self.outcome is not None and not self.outcome.interrupted:
            self._end(self.outcome)
        elif os.getpid() == self.pid:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, outcome: Outcome) -> None:
        if not self.concluded.acquire(blocking=False):
            return
        code = OUR_FAILURE
        try:
            _leave_removed_folder(self.folder)
            with own_imports(self.search_path):
                code = self._conclude(outcome)
        except KeyboardInterrupt:
            code = 130
        except BaseException as error:
            self.voice.warn(f"no prognosis ({one_line(error)})")
        shutil.rmtree(self.folder, ignore_errors=True)
        _leave_at_once(code)

    def _conclude(self, outcome: Outcome) -> int:
        """End the recording, say what it foretells, and return the exit code."""
        stopped = self.stop is not None and self.stop.raised > 0
        if self.stop is not None:
            self.stop.cancel()
        if self.jacobians is not None:
            self.jacobians.close()
            for reason in self.jacobians.failed.values():
                self.voice.warn(f"no Jacobian: {reason}")
        error = None if stopped else outcome.error
        exit_code = 0 if stopped else outcome.exit_code
        recorded = self.session.finish(exit_code, error) if self.session is not None else None
        if self.voice.mute:
            return 0
        if recorded is None:
            self.voice.warn(self._why_nothing(outcome))
            return OUR_FAILURE
        import livegrad
        from livegrad.diagnose.prognosis import foresee

        run = livegrad.load(recorded)
        report = foresee(run, self.jacobians.found if self.jacobians is not None else None)
        document = report.to_dict()
        if self.options.page is not None:
            from livegrad.view.html import write_report

            write_report(run, document, self.options.page)
        if self.options.as_json:
            assert self.out is not None
            write_json(report, self.out)
        else:
            _show(document, self.options.page)
        return FINDINGS if fails(document, self.options.fail_on) else 0

    def _why_nothing(self, outcome: Outcome) -> str:
        if outcome.error is not None:
            return f"the program failed before its first optimizer step: {outcome.error}. Nothing was checked"
        if outcome.exit_code:
            return f"the program ended with exit code {outcome.exit_code} before its first optimizer step"
        if not self.asked:
            return "the program never imported torch, so there is no training to check"
        return (
            "the program took no optimizer step in this process, so there is no training to check. Training "
            "in processes that it starts itself is not seen; check what those run"
        )


def _leave_removed_folder(folder: Path) -> None:
    """The program may have ended in a temporary folder that is gone by now."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        os.chdir(folder)


def _show(document: dict[str, Any], page: Path | None) -> None:
    from livegrad.cli.own_console import own_console
    from livegrad.view.prognosis import render_prognosis

    if sys.__stdout__ is not None and sys.__stderr__ is not None:
        with redirect_stdout(sys.__stdout__), redirect_stderr(sys.__stderr__), suppress(OSError, ValueError):
            render_prognosis(document, own_console(stderr=False), page)
            sys.__stdout__.flush()


def _leave_at_once(code: int) -> NoReturn:
    """End the process with our code; python has settled on the program's by now."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)
