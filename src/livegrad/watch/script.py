"""Run a program in this process as `python` would, and end the process as `python` would.

    atexit.register(say_what_was_found)  # called last: after the program's threads and its own callbacks
    leave(run_program(Program("script", "train.py", ("--epochs", "3"))))

Measured against CPython 3.11, 3.12 and 3.13.
"""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from livegrad.watch import program as program_module
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.program import Program, forget_file

INTERRUPTED = 130
# Every file of the package, as its code objects name them.
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_OUR_FILES = {__file__, program_module.__file__}


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `exit_code` is what a shell shows: 130 for an unhandled Ctrl-C, after which `leave` dies of SIGINT as
    `python` does. `error` is the exception that ended the program, in one line, or None.
    """

    exit_code: int
    error: str | None = None
    interrupted: bool = False


def run_program(program: Program, examine: Callable[[BaseException], None] = lambda error: None) -> Outcome:
    """Run `program` as this process's main program, and print its traceback if it ends in an exception.

    examine: called with that exception, or the SystemExit, while the variables of its frames are there.
    """
    try:
        program.execute()
        _flush()
        outcome = Outcome(0)
    except SystemExit as stop:
        examine(stop)
        return _system_exit(stop)
    except EnoughSteps as stop:
        _flush()
        outcome = Outcome(stop.exit_code)
    except BaseException as error:
        outcome = _uncaught(error)
        examine(error)
    forget_file()
    return outcome


def leave(outcome: Outcome) -> NoReturn:
    """End the process as the program would have ended it; python joins threads and runs atexit callbacks."""
    if outcome.interrupted:
        # Left to python, which in the end dies of the signal; the traceback has been printed already.
        sys.excepthook = lambda *_: None
        raise KeyboardInterrupt
    raise SystemExit(outcome.exit_code)


def keep_interrupted(outcome: Outcome) -> None:
    """Let python remember an interrupt, which it forgets whenever text is executed as code.

    To be called last thing in an atexit callback that imports or executes anything: python dies of SIGINT if
    the last text that was executed ended in KeyboardInterrupt.
    """
    if outcome.interrupted:
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")


def one_line(error: BaseException) -> str:
    """`RuntimeError: what happened`: the type and the first line of an exception."""
    try:
        text = str(error).strip()
    except Exception:
        text = "<exception str() failed>"
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0]}" if text else name


def _system_exit(stop: SystemExit) -> Outcome:
    _flush()
    code: Any = stop.code
    if code is None:
        return Outcome(0)
    if isinstance(code, int):
        return Outcome(code & 0xFF if os.name == "posix" else code)
    with contextlib.suppress(Exception):
        sys.stderr.write(str(code))
    _write_error("\n")
    return Outcome(1, one_line(stop))


def _uncaught(error: BaseException) -> Outcome:
    _flush()
    traceback = _hide_our_frames(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, traceback
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    line = one_line(error)
    stop = _report(error, traceback)
    if stop is not None:
        return _system_exit(stop)
    if isinstance(error, KeyboardInterrupt):
        return Outcome(INTERRUPTED, line, interrupted=True)
    return Outcome(1, line)


def _hide_our_frames(error: BaseException) -> TracebackType | None:
    """Take livegrad's frames out of the error's traceback, and of those it came from: hooks that the
    program's own calls passed through are no part of the program.
    """
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _without_ours(one.__traceback__)
        pending += [one.__cause__, one.__context__]
        pending += getattr(one, "exceptions", ())
    return error.__traceback__


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    kept = []
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if filename not in _OUR_FILES and not filename.startswith(_PACKAGE):
            kept.append(traceback)
        traceback = traceback.tb_next
    rebuilt: TracebackType | None = None
    for entry in reversed(kept):
        rebuilt = TracebackType(rebuilt, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return rebuilt


def _report(error: BaseException, traceback: TracebackType | None) -> SystemExit | None:
    """Let the program's own sys.excepthook print the error; return the SystemExit it raised, if it did."""
    if not hasattr(sys, "excepthook"):
        _write_error("sys.excepthook is missing\n")
        sys.__excepthook__(type(error), error, traceback)
        return None
    try:
        sys.excepthook(type(error), error, traceback)
    except SystemExit as stop:
        return stop
    except BaseException as second:
        trace = second.__traceback__.tb_next if second.__traceback__ else None
        second.__context__ = None
        _write_error("Error in sys.excepthook:\n")
        sys.__excepthook__(type(second), second.with_traceback(trace), trace)
        _write_error("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, traceback)
    return None


def _write_error(text: str) -> None:
    with contextlib.suppress(Exception):
        sys.stderr.write(text)


def _flush() -> None:
    """Flush as python does when a program ends; what fails here fails again at exit, and aloud."""
    for name in ("stderr", "stdout"):
        with contextlib.suppress(Exception):
            getattr(sys, name).flush()
