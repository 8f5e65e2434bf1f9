"""The life of one `livegrad treat`: find or make the trial, lead it to its end, show what it found."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from livegrad.cli.exit_code import FINDINGS, OUR_FAILURE
from livegrad.cli.trial_change import change_of, described, print_diff, prove_change, write_change
from livegrad.errors import LivegradError, RunError, UsageError
from livegrad.run.folder import DEFAULT_BASE, create_run_folder
from livegrad.treat.trial.budget import Budget, patience_for, share
from livegrad.treat.trial.commands import Commands
from livegrad.treat.trial.conclusion import conclude
from livegrad.treat.trial.conduct import Conductor, TrialError
from livegrad.treat.trial.identity import Identity, hash_sources
from livegrad.treat.trial.lock import take
from livegrad.treat.trial.state import Trial, find_trial, load_trial
from livegrad.watch.launch import Launch

if TYPE_CHECKING:
    from livegrad.treat.rewrite.propose import Rewriting
    from livegrad.treat.trial.document import TreatmentDocument
    from livegrad.treat.trial.engine import Engine
    from livegrad.watch.program import Program

INTERRUPTED = 130
PAGE = "report.html"
# A diff of so many lines is shown without being asked for.
SHORT_DIFF = 24


@dataclass(frozen=True)
class TreatOptions:
    """What the command line asks for; see `livegrad treat --help`. None: what an earlier trial had, else the
    default.
    """

    minutes: float | None = None
    steps: int | None = None
    seeds: int | None = None
    arms: int | None = None
    tried: tuple[str, ...] = ()
    jobs: int | None = None
    engine: str = "local"
    out: Path | None = None
    resume: Path | None = None
    fresh: bool = False
    only_diff: bool = False
    write: bool = False
    yes: bool = False
    proves: bool = True
    as_json: bool = False
    quiet: bool = False
    fail_on: str | None = None

    @property
    def asks_for_runs(self) -> bool:
        """Whether a finished trial has more to run for it."""
        return bool(self.seeds or self.arms or self.tried)


@dataclass
class TreatedScript:
    """One trial as the command line leads it. begun: whether it was there before."""

    trial: Trial
    options: TreatOptions
    begun: bool = False

    @classmethod
    def prepare(cls, program: Program | None, options: TreatOptions) -> TreatedScript:
        """Find the trial that the command goes on with, or make its folder. Raises UsageError, RunError."""
        if Launch.of_this_process().world_size > 1:
            raise UsageError(
                "livegrad treat starts its runs itself, one process each: leave out torchrun or srun."
            )
        if options.resume is not None:
            trial = load_trial(options.resume.absolute())
            if program is not None and not Identity.of(program, options.steps).fits(trial.identity):
                raise UsageError(
                    f"the trial in {str(options.resume)!r} is of another program, or its source was changed "
                    "since. Leave out --resume to begin anew."
                )
            if not take(trial.folder):
                raise UsageError(f"another process is at work on the trial in {str(options.resume)!r}.")
            if trial.status != "finished" or options.asks_for_runs:
                _check_source(trial)
                os.chdir(trial.identity.cwd)
            trial.budget = _widened(trial.budget, options, trial.budget.seeds)
            trial.forced = list(options.tried) or trial.forced
            trial.forget_failures()
            return cls(trial, options, True)
        assert program is not None
        if program.kind == "script" and program.target == "-":
            raise UsageError("a program on standard input can be run only once: save it in a file.")
        identity = Identity.of(program, options.steps)
        base = Path(DEFAULT_BASE if options.out is None else options.out).expanduser().absolute()
        found = None if options.fresh else find_trial(base, identity, options.write or options.only_diff)
        if found is not None and _serves(found, options) and take(found.folder):
            found.budget = _widened(found.budget, options, found.budget.seeds)
            found.forget_failures()
            if options.tried or found.status != "finished":
                found.forced = list(options.tried)
            return cls(found, options, True)
        budget = _widened(Budget(steps=options.steps), options)
        trial = Trial(_make_folder(base, identity.stem), identity, budget, forced=list(options.tried))
        take(trial.folder)
        return cls(trial, options)

    def run(self) -> NoReturn:
        """Lead the trial to its end, show it and end the process."""
        code = OUR_FAILURE
        try:
            with interruptible():
                code = self._run()
        except KeyboardInterrupt:
            self._say_interrupted()
            code = INTERRUPTED
        except TrialError as error:
            code = self._failed(error)
        except (UsageError, RunError) as error:
            print(f"livegrad: error: {error}", file=sys.stderr)
            code = 2
        except LivegradError as error:
            print(f"livegrad: error: {error}", file=sys.stderr)
        except BrokenPipeError:
            code = 0
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            again = "Once that is mended the same command goes on with what is finished."
            print(f"livegrad: error: {error.strerror or error}{where}. {again}", file=sys.stderr)
        sys.exit(code)

    def _run(self) -> int:
        from livegrad.cli.trial_progress import progress_on

        trial = self.trial
        commands = Commands(trial.identity.program, patience_for(trial.budget.minutes))
        with progress_on(quiet=self.options.quiet or self._is_complete()) as tell:
            conductor = Conductor(trial, self._engine(), commands, tell)
            conductor.conduct()
        change, why = change_of(trial)
        options = self.options
        if options.only_diff:
            print_diff(self.trial, change, why)
            return 0
        document = conclude(trial, described(change, why))
        self._show(document)
        proven = not options.write or self._write(change, why)
        return self._code(document.to_dict()) if proven else OUR_FAILURE

    def _write(self, change: Rewriting | None, why: str | None) -> bool:
        """Whether what was written gives what the trial gave; also where nothing was to be written."""
        options = self.options
        if not write_change(self.trial, change, why, yes=options.yes) or not options.proves:
            return True
        assert change is not None
        return prove_change(self.trial, change, self._engine())

    def _is_complete(self) -> bool:
        return self.begun and self.trial.status == "finished"

    def _engine(self) -> Engine:
        budget = self.trial.budget
        if self.options.engine == "ray":
            from livegrad.treat.trial.ray_engine import RayEngine

            return RayEngine(budget.threads, slots=self.options.jobs)
        from livegrad.treat.trial.engine import LocalEngine

        return LocalEngine(budget.jobs, budget.threads, accelerators())

    def _show(self, document: TreatmentDocument) -> None:
        page = self._page(document)
        if self.options.as_json:
            print(document.to_json(), flush=True)
            return
        from livegrad.cli.own_console import own_console
        from livegrad.view.treatment import render_treatment

        shown = SHORT_DIFF if not self.options.write else None
        render_treatment(document.to_dict(), own_console(stderr=False), page, shown)

    def _page(self, document: TreatmentDocument) -> Path | None:
        """The trial's HTML page; None, with a warning, where it cannot be made."""
        from livegrad.view.treatment_page import write_treatment

        path = self.trial.folder / PAGE
        try:
            write_treatment(document.to_dict(), path)
        except Exception as error:
            print(f"livegrad: warning: no HTML page ({type(error).__name__}: {error})", file=sys.stderr)
            return None
        return path

    def _code(self, document: dict[str, Any]) -> int:
        """3 if `--fail-on` is met by what the script has and the winner does not take away."""
        counted = {"error": ("error",), "warning": ("error", "warning")}.get(self.options.fail_on or "", ())
        if document["verdict"] == "cured" or document["control"] is None:
            return 0
        winner = document["winner"]
        found = document["control"]["findings"]
        if winner is not None:
            found = next(arm["findings"] for arm in document["arms"] if arm["name"] == winner["name"])
        return FINDINGS if any(finding["severity"] in counted for finding in found) else 0

    def _failed(self, error: TrialError) -> int:
        document = conclude(self.trial)
        if self.options.as_json:
            print(document.to_json(), flush=True)
        print(f"livegrad: error: {error}", file=sys.stderr)
        if not self.trial.runs:
            self.trial.discard()
        return OUR_FAILURE

    def _say_interrupted(self) -> None:
        trial = self.trial
        if not trial.runs:
            trial.discard()
            print(
                "livegrad: interrupted before anything was finished; nothing is left behind.", file=sys.stderr
            )
            return
        kept = f"{len(trial.runs)} finished run{'s are' if len(trial.runs) > 1 else ' is'} kept"
        words = f"interrupted. {kept} in {trial.folder}; the same command goes on from there."
        print(f"livegrad: {words}", file=sys.stderr)


def _make_folder(base: Path, stem: str) -> Path:
    return create_run_folder(base, stem, lambda stamp, name: f"treat-{name}-{stamp}")


def _serves(found: Trial, options: TreatOptions) -> bool:
    """Whether an earlier trial is as long as is asked for."""
    return found.whole or options.minutes is None or options.minutes <= found.budget.minutes


def _widened(budget: Budget, options: TreatOptions, least: int = 1) -> Budget:
    """A budget with what is asked for outright, but at least so many seeds."""
    jobs, threads = share(options.jobs, len(accelerators()))
    known = {"minutes": options.minutes, "arms": options.arms, "seeds": options.seeds}
    asked: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    seeds = max(asked.pop("seeds", budget.seeds), least)
    return replace(budget, jobs=jobs, threads=threads, seeds=seeds, **asked)


def _check_source(trial: Trial) -> None:
    """Raise UsageError where the program is not what the trial began with: runs of two cannot be compared."""
    identity = trial.identity
    if not Path(identity.cwd).is_dir():
        raise UsageError(f"the trial was started in {identity.cwd!r}, which is no folder any more.")
    if hash_sources(identity.program, Path(identity.cwd)) != identity.sources:
        anew = shlex.join(["livegrad", "treat", *identity.program.command])
        raise UsageError(
            f"the program has changed since the trial in {str(trial.folder)!r} was begun: it cannot go on. "
            f"Begin anew: {anew}"
        )


def accelerators() -> list[str]:
    """The GPUs that runs may use, without importing torch: those made visible, else those present."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, a request to end (SIGTERM, SIGHUP) is what Ctrl-C is; a second does not disturb the first."""
    seen: list[float] = []

    def interrupt(*_: Any) -> None:
        if not seen:
            seen.append(time.monotonic())
            raise KeyboardInterrupt

    kept = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(ValueError, OSError):
                kept[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
