"""What to run, and how `python` runs it: the module `__main__`, `sys.argv`, `sys.path[0]` and the code
itself.

Measured against CPython 3.11, 3.12 and 3.13.
"""

import builtins
import contextlib
import io
import os
import sys
from dataclasses import dataclass
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType
from typing import Literal

_STDIN = "-"


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

    def search_path(self) -> str | None:
        """The entry that python puts first in `sys.path` for this program; None if none (`python -P`)."""
        if self.kind == "script" and _is_container(_absolute(self.target)):
            return _absolute(self.target)
        if sys.flags.safe_path:
            return None
        if self.kind == "script" and self.target != _STDIN:
            return os.path.dirname(os.path.realpath(self.target))  # noqa: PTH120
        return os.getcwd() if self.kind == "module" else ""  # noqa: PTH109

    def execute(self) -> None:
        """Become this program and run it to its end; what it raises is raised."""
        main = _fresh_main()
        _set_search_path(self.search_path())
        if self.kind == "module":
            sys.argv = ["-m", *self.arguments]
            _run_module(self.target, True)
        elif self.kind == "code":
            sys.argv = ["-c", *self.arguments]
            exec(_compile_line(self.target), main.__dict__)
        else:
            sys.argv = [self.target, *self.arguments]
            self._run_script(main)

    def _run_script(self, main: ModuleType) -> None:
        path = _absolute(self.target)
        if self.target == _STDIN:
            main.__dict__.update(__file__="<stdin>", __cached__=None)
            exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec", dont_inherit=True), main.__dict__)
        elif _is_container(path):
            _run_module("__main__", False)
        else:
            _run_file(path, main)


def _run_module(name: str, alter_argv: bool) -> None:
    # The very function that `python -m` calls, so that names, warnings, errors and tracebacks are its own.
    import runpy

    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def _run_file(path: str, main: ModuleType) -> None:
    loader = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
    main.__dict__.update(__file__=path, __cached__=None, __loader__=loader)
    exec(_code_of(path, loader), main.__dict__)


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
        lines = [f"{line}\n" for line in source.splitlines()]
        linecache.cache["<string>"] = (len(source) + 1, None, lines, "<string>")
    return code


def _fresh_main() -> ModuleType:
    launcher = sys.modules["__main__"]
    main = ModuleType("__main__")
    if "__annotations__" in vars(launcher):
        main.__annotations__ = {}
    main.__dict__.update(__builtins__=builtins, __loader__=BuiltinImporter)
    sys.modules["__main__"] = main
    return main


def forget_file() -> None:
    """Remove a script's `__file__`, as python does when a script ends in another way than SystemExit.

    The program's atexit callbacks can tell.
    """
    main = sys.modules.get("__main__")
    if main is not None and getattr(main, "__spec__", None) is None:
        vars(main).pop("__file__", None)
        vars(main).pop("__cached__", None)


def _set_search_path(directory: str | None) -> None:
    if not sys.flags.safe_path:
        del sys.path[0]  # the launcher's own
    if directory is not None:
        sys.path.insert(0, directory)


def _absolute(path: str) -> str:
    """`path` from the root, not normalised: so python spells `__file__` and the tracebacks."""
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH117, PTH118


def _is_container(path: str) -> bool:
    """Whether modules can be imported from `path`: a folder or a zip file."""
    for hook in sys.path_hooks:
        with contextlib.suppress(ImportError):
            hook(path)
            return True
    return False
