"""The life of one `livegrad run`: make the folder, run the program, conclude, leave as the program left."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Optional

from livegrad.cli.at_start import LOADED_AT_START
from livegrad.cli.exit_code import FINDINGS, USAGE, fails
from livegrad.cli.json_output import write_json
from livegrad.cli.told_to_end import TERMINATED, GentleEnd
from livegrad.cli.voice import Voice
from livegrad.errors import LivegradError
from livegrad.watch.launch import Launch, RunFolder
from livegrad.watch.own_imports import forget_hiding, own_imports
from livegrad.watch.program import Program
from livegrad.watch.script import Outcome, keep_interrupted, leave, one_line, run_program
from livegrad.watch.torch_import import after_import

if TYPE_CHECKING:
    from livegrad.cli.treated_program import TreatedProgram
    from livegrad.diagnose.report import Report
    from livegrad.treat.choice import Choice
    from livegrad.watch.seeds import Repetition
    from livegrad.watch.session import Session
    from livegrad.watch.step_limit import StepLimit

NO_TORCH = "livegrad: no optimizer step was seen: the program did not import torch."
NO_STEP = (
    "livegrad: no optimizer step was seen in this process, so there is nothing to say about gradients. "
    "Training in processes that the program starts itself is not watched."
)


@dataclass
class WatchedRun:
    """One watched program in this process.

    Attributes:
        folder: made before the program starts; None on a rank that is not recorded.
        search_path: the program's own entry in sys.path.
        pid: of the process that trains. A forked child runs the same code and must neither write nor speak.
        asked: whether the program has imported torch.
        treat: remedies to apply to each model before it trains.
        history: an earlier run, from which they take their thresholds.
        guard: whether spikes are clipped and poisoned steps skipped.
        steps, seconds: of training, after which the program is ended.
        repetition: which seeds it is given, None: its own.
    """

    program: Program
    folder: RunFolder | None
    budget: float
    every: int | None
    voice: Voice
    search_path: str | None
    pid: int = field(default_factory=os.getpid)
    treat: tuple[Choice, ...] = ()
    history: Path | None = None
    guard: bool = False
    steps: int | None = None
    seconds: float | None = None
    repetition: int | None = None
    seeds: Optional[Repetition] = None  # noqa: UP045 - as session
    end: GentleEnd | None = None
    limit: Optional[StepLimit] = None  # noqa: UP045
    asked: bool = False
    treated: Optional[TreatedProgram] = None  # noqa: UP045 - as session
    session: Optional[Session] = None  # noqa: UP045 - pyright cannot close the circle of imports over `|`
    outcome: Outcome | None = None
    asked_for: tuple[bool, str | None] = (False, None)

    @classmethod
    def prepare(
        cls,
        program: Program,
        *,
        out: Path | None,
        budget: float,
        every: int | None,
        quiet: bool,
        treat: tuple[Choice, ...] = (),
        history: Path | None = None,
        guard: bool = False,
        steps: int | None = None,
        seconds: float | None = None,
        repetition: int | None = None,
    ) -> WatchedRun:
        """Make the run folder. Raises UsageError where it cannot be made; nothing has been run then."""
        launch = Launch.of_this_process()
        folder = launch.make_run_folder(out, _stem(program))
        voice = Voice(quiet=quiet, mute=launch.rank != 0)
        return cls(
            program,
            folder,
            budget,
            every,
            voice,
            program.search_path(),
            treat=treat,
            history=history,
            guard=guard,
            steps=steps,
            seconds=seconds,
            repetition=repetition,
        )

    def run(self, *, as_json: bool, fail_on: str | None) -> NoReturn:
        """Run the program to its end, say what was found and end the process."""
        # Registered first, so called last: the program's own callbacks have had their say.
        self.asked_for = (as_json, fail_on)
        atexit.register(self._at_exit, as_json, fail_on)
        if self.repetition is not None:
            from livegrad.watch.seeds import Repetition

            self.seeds = Repetition(self.repetition)
            self.end = GentleEnd()
            after_import("numpy", self.seeds.numpy_imported)
        if self.folder is not None or self.treat or self.guard or self.seeds is not None:
            after_import("torch", self._start)
        if self.search_path is not None:
            forget_hiding(LOADED_AT_START, self.search_path)
        self.outcome = run_program(self.program, self._examine)
        leave(self.outcome)

    def _examine(self, error: BaseException) -> None:
        """The program has ended in this exception."""
        if self.session is not None and os.getpid() == self.pid:
            with own_imports(self.search_path):
                self.session.examine(error)

    def _start(self) -> None:
        """Start the recorder; called when the program has imported torch."""
        if os.getpid() != self.pid:
            return
        self.asked = True
        if self.seeds is not None:
            self.seeds.torch_imported()
        if self.treat or self.guard:
            self._prepare_treatment()
        if self.folder is not None:
            try:
                with own_imports(self.search_path):
                    self.session = self._new_session()
            except Exception as error:
                text = f"could not start watching, the program runs unwatched ({one_line(error)})"
                self.voice.warn(text)
        if self.treated is not None:
            with own_imports(self.search_path):
                self.treated.watched_by(self.session)
        if self.steps is not None or self.seconds is not None:
            with own_imports(self.search_path):
                from livegrad.watch.step_limit import StepLimit

                self.limit = StepLimit(self.session, self.steps, self._end_now, self.seconds, self._let_go)

    def _prepare_treatment(self) -> None:
        """Have models treated when their training begins, before anything of them is watched."""
        from livegrad.watch.enough import CannotGoOn

        try:
            with own_imports(self.search_path):
                from livegrad.cli.treated_program import TreatedProgram

                self.treated = TreatedProgram(self.treat, self.guard, self.voice, self._give_up, self.history)
        except Exception as error:
            self.voice.fail(str(error) if isinstance(error, LivegradError) else one_line(error))
            raise CannotGoOn from None

    def _new_session(self) -> Session:
        from livegrad.watch.session import WatchOptions, start

        options = WatchOptions(
            path=self.folder.path if self.folder else None,
            budget=self.budget,
            every=self.every,
            command=self.program.command,
            mode=self.program.kind,
            script=self.program.target if self.program.kind == "script" else None,
            quiet=self.voice.quiet,
        )
        session = start(options)
        session.on_message = self.voice.hear
        given = {"step_limit": self.steps, "repetition": self.repetition}
        session.keep(**{name: value for name, value in given.items() if value is not None})
        return session

    def _end_now(self) -> NoReturn:
        """The program goes on after the last of its steps."""
        self.outcome = Outcome(0)
        self._at_exit(*self.asked_for)
        _leave_at_once(0)

    def _give_up(self) -> NoReturn:
        """The program goes on although it was ended for not being treated."""
        _leave_at_once(USAGE)

    def _let_go(self) -> None:
        if self.treated is not None:
            with own_imports(self.search_path):
                self.treated.close()

    def _at_exit(self, as_json: bool, fail_on: str | None) -> None:
        if os.getpid() != self.pid or self.outcome is None:
            return
        if self.end is not None and self.end.told:
            _leave_at_once(TERMINATED)
        code = None
        try:
            with own_imports(self.search_path):
                code = self._conclude(self.outcome, as_json, fail_on)
        except KeyboardInterrupt:
            self.voice.warn("interrupted before the report was ready. Ask again: livegrad report")
        except BaseException as error:
            self.voice.warn(f"no report ({one_line(error)})")
        if code is not None:
            _leave_at_once(code)
        keep_interrupted(self.outcome)

    def _conclude(self, outcome: Outcome, as_json: bool, fail_on: str | None) -> int | None:
        """End the recording and say what it shows; return the exit code that `--fail-on` asks for, if it
        does.
        """
        self._let_go()
        ended = self.limit is not None and self.limit.reached
        if self.limit is not None:
            self.limit.cancel()
        recorded = self.session.finish(outcome.exit_code, outcome.error) if self.session else None
        if self.voice.mute:
            return None
        if self.folder is not None:
            self.folder.forget_launch()
        untreated = self.treated is not None and self.treated.went_untreated and outcome.error is None
        if untreated and not self.voice.warned:
            self.voice.fail("nothing was treated: no model was seen to be trained.")
        if recorded is None:
            if self.folder is not None:
                self.folder.discard_empty()
            if self.session is not None and not self.voice.warned:
                self.voice.say(NO_STEP)
            elif not self.asked:
                self.voice.say(NO_TORCH)
            return USAGE if untreated and outcome.exit_code == 0 else None
        report = self._report(recorded)
        if as_json and sys.__stdout__ is not None:
            write_json(report, sys.__stdout__)
        if (outcome.exit_code == 0 or ended) and fails(report.to_dict(), fail_on):
            return FINDINGS
        if untreated and (outcome.exit_code == 0 or ended):
            return USAGE
        return 0 if ended and outcome.exit_code else None

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
            reason = str(error) if isinstance(error, LivegradError) else one_line(error)
            self.voice.warn(f"no HTML report: {reason}")
        if not self.voice.quiet:
            _show(document, page)
        return report


def _show(document: dict, page: Path | None) -> None:
    from contextlib import redirect_stderr

    from livegrad.cli.own_console import own_console
    from livegrad.view.console import render_report

    if sys.__stderr__ is not None:
        with redirect_stderr(sys.__stderr__), suppress(OSError, ValueError):
            render_report(document, own_console(stderr=True), page)
            sys.__stderr__.flush()


def _leave_at_once(code: int) -> NoReturn:
    """Replace the exit code that python has already settled on, which only ending the process here can do."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _stem(program: Program) -> str:
    if program.kind == "code":
        return "code"
    if program.kind == "module":
        return program.target.rpartition(".")[2]
    return "stdin" if program.target == "-" else Path(program.target).absolute().stem
