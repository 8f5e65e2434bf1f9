"""Run a script, module or line of code as `python` itself would, and end the process as `python` would.

    outcome = run_program(Program("script", "train.py", ("--epochs", "3")))
    finish_threads_and_callbacks()
    ...                                  # the program has said all it had to say
    leave(outcome)

A script gets a fresh `__main__` module; a module, a folder or a zip file is handed to `runpy`, as `python`
does. Measured against CPython 3.11, 3.12 and 3.13.
"""

import atexit
import builtins
import contextlib
import io
import os
import sys
import threading
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any, Literal, NoReturn

INTERRUPTED = 130


@dataclass(frozen=True)
class Program:
    """What to run: `kind` and `target` are as on python's command line, `arguments` are what follows."""

    kind: Literal["script", "module", "code"]
    target: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments that `python` would be given."""
        flag = {"script": (), "module": ("-m",), "code": ("-c",)}[self.kind]
        return (*flag, self.target, *self.arguments)


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `exit_code` is what a shell shows: 130 for an unhandled Ctrl-C, after which `leave` dies of SIGINT as
    `python` does. `error` is the exception that ended the program, in one line, or None.
    """

    exit_code: int
    error: str | None = None
    interrupted: bool = False


def run_program(program: Program) -> Outcome:
    """Run `program` in this process as its main program, and print its traceback if it ends in an exception."""
    try:
        _execute(program)
        _flush()
        outcome = Outcome(0)
    except SystemExit as stop:
        return _system_exit(stop)
    except BaseException as error:
        outcome = _uncaught(error)
    _forget_file()
    return outcome


def finish_threads_and_callbacks() -> None:
    """Wait for the program's threads and run its atexit callbacks: what `python` does first when it ends.

    Neither happens a second time when the process really ends.
    """
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException as error:
        _unraisable(error, threading)
    atexit._run_exitfuncs()
    _flush()


def leave(outcome: Outcome, exit_code: int | None = None) -> NoReturn:
    """End the process as the program would have ended it, or with `exit_code` if one is given."""
    if outcome.interrupted and exit_code is None:
        # Left to python, which tears the interpreter down and then dies of the signal; it has been reported
        # already.
        sys.excepthook = lambda *_: None
        raise KeyboardInterrupt
    raise SystemExit(outcome.exit_code if exit_code is None else exit_code)


def _execute(program: Program) -> None:
    main = _fresh_main()
    if program.kind == "module":
        _replace_path0(os.getcwd())  # noqa: PTH109
        sys.argv = ["-m", *program.arguments]
        _run_module(program.target, True)
    elif program.kind == "code":
        _replace_path0("")
        sys.argv = ["-c", *program.arguments]
        exec(_compile_line(program.target), main.__dict__)
    else:
        sys.argv = [program.target, *program.arguments]
        path = _absolute(program.target)
        if _is_container(path):
            _replace_path0(path, always=True)
            _run_module("__main__", False)
        else:
            _replace_path0(os.path.dirname(os.path.realpath(program.target)))  # noqa: PTH120
            _run_file(path, main)


def _run_module(name: str, alter_argv: bool) -> None:
    # The very function that `python -m` calls, so that names, warnings, errors and tracebacks are its own.
    import runpy

    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def _run_file(path: str, main: ModuleType) -> None:
    loader = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
    main.__dict__.update(__file__=path, __cached__=None, __loader__=loader)
    exec(_code_of(path, loader), main.__dict__)


def _forget_file() -> None:
    """Remove a script's `__file__`, as python does unless the script ended in SystemExit; atexit callbacks
    can tell.
    """
    main = sys.modules.get("__main__")
    if main is not None and getattr(main, "__spec__", None) is None:
        vars(main).pop("__file__", None)
        vars(main).pop("__cached__", None)


def _code_of(path: str, loader: SourceFileLoader | SourcelessFileLoader) -> CodeType:
    if isinstance(loader, SourcelessFileLoader):
        code = loader.get_code("__main__")
        assert code is not None
        return code
    with io.open_code(path) as file:
        return compile(file.read(), path, "exec", dont_inherit=True)


def _compile_line(source: str) -> CodeType:
    code = compile(source, "<string>", "exec", dont_inherit=True)
    if sys.version_info >= (3, 13):
        import linecache

        # From 3.13 on tracebacks show the source lines of -c.
        linecache._register_code(code, source, "<string>")  # type: ignore[attr-defined]
    return code


def _fresh_main() -> ModuleType:
    launcher = sys.modules["__main__"]
    main = ModuleType("__main__")
    if "__annotations__" in vars(launcher):
        main.__annotations__ = {}
    main.__dict__.update(__builtins__=builtins, __loader__=BuiltinImporter)
    sys.modules["__main__"] = main
    return main


def _replace_path0(directory: str, always: bool = False) -> None:
    """Put `directory` where python would: in place of the launcher's own entry, or nowhere under `python -P`."""
    if not sys.flags.safe_path:
        sys.path[0:1] = [directory]
    elif always:
        sys.path.insert(0, directory)


def _absolute(path: str) -> str:
    """`path` from the root, not normalised: so python spells `__file__` and the tracebacks."""
    if os.path.isabs(path):  # noqa: PTH117
        return path
    return os.path.join(os.getcwd(), path.removeprefix("." + os.sep))  # noqa: PTH109, PTH118


def _is_container(path: str) -> bool:
    """Whether modules can be imported from `path`: a folder or a zip file."""
    for hook in sys.path_hooks:
        with contextlib.suppress(ImportError):
            hook(path)
            return True
    return False


def _system_exit(stop: SystemExit) -> Outcome:
    _flush()
    code: Any = stop.code
    if code is None:
        return Outcome(0)
    if isinstance(code, int):
        return Outcome(code)
    with contextlib.suppress(Exception):
        print(code, file=sys.stderr)
    return Outcome(1, f"SystemExit: {code}")


def _uncaught(error: BaseException) -> Outcome:
    _flush()
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    error.__traceback__ = traceback
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


def _report(error: BaseException, traceback: TracebackType | None) -> SystemExit | None:
    """Let the program's own sys.excepthook print the error; return the SystemExit it raised, if it did."""
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


def one_line(error: BaseException) -> str:
    """`RuntimeError: what happened`: the type and the first line of an exception."""
    try:
        text = str(error).strip()
    except Exception:
        text = "<exception str() failed>"
    name = type(error).__name__
    return f"{name}: {text.splitlines()[0]}" if text else name


def _unraisable(error: BaseException, source: Any) -> None:
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    make_arguments: Any = sys.UnraisableHookArgs
    with contextlib.suppress(Exception):
        sys.unraisablehook(make_arguments((type(error), error.with_traceback(trace), trace, None, source)))


def _write_error(text: str) -> None:
    with contextlib.suppress(Exception):
        sys.stderr.write(text)


def _flush() -> None:
    """Flush the standard streams as python does when a program ends; what fails here fails again at exit,
    aloud.
    """
    for stream in (sys.stderr, sys.stdout):
        with contextlib.suppress(Exception):
            stream.flush()
