"""A program under `livegrad run --quiet` gives the bytes and the exit status that it gives under plain
`python`.
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

import pytest

WATCHED = ("-m", "livegrad", "run", "--quiet")


def both(
    folder: Path,
    *arguments: str,
    flags: tuple[str, ...] = (),
    merge: bool = False,
    source: bytes = b"",
    **environment: str,
):
    """Run under plain python, then under livegrad, in the same folder; return the two (status, stdout,
    stderr).
    """
    results = []
    for watched in ((), WATCHED):
        process = subprocess.run(
            [sys.executable, *flags, *watched, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
            input=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            timeout=60,
        )
        results.append((process.returncode, _neutral(process.stdout), _neutral(process.stderr or b"")))
    return results


def _neutral(output: bytes) -> bytes:
    """Without addresses, reference counts and durations, which differ between any two runs."""
    return re.sub(rb"(?<=0x)[0-9a-f]{6,}|(?<=refcount : )\d+|(?<= in )[\d.]+s", b"N", output)


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(dedent(text), encoding="utf-8")


SCRIPTS = {
    "arguments": """
        import sys
        print(sys.argv, sys.path[0], len(sys.path), __name__, __file__)
        print(sys.flags, sys.warnoptions, sys.modules["__main__"].__dict__ is globals())
    """,
    "main module": """
        shown = {k: v for k, v in vars().items() if k != "__loader__"}
        print(list(vars()), shown)
        print(type(__loader__), __loader__.name, __loader__.path)
        import __main__
        print(__main__, vars(__main__) is globals())
    """,
    "nothing": "",
    "future annotations are not inherited": """
        def f(x: print("evaluated")): pass
    """,
    "pickling": """
        import copy, pickle
        class Thing:
            def __eq__(self, other): return vars(self) == vars(other)
        thing = Thing(); thing.x = 1
        data = pickle.dumps(thing)
        print(data, pickle.loads(data) == thing, pickle.loads(data).__class__ is Thing)
    """,
    "dataclass, enum and type hints": """
        from __future__ import annotations
        import dataclasses, enum, typing
        @dataclasses.dataclass
        class Point:
            x: int
            kind: typing.ClassVar[int] = 3
        class Colour(enum.Enum):
            RED = 1
        print(Point(1), typing.get_type_hints(Point), dataclasses.fields(Point)[0].name, Colour.RED, Colour)
    """,
    "own source": """
        import inspect, linecache, sys
        def f():
            return 1
        print(inspect.getsource(f), inspect.getsourcefile(f), inspect.getmodule(f))
        print(inspect.getsource(sys.modules["__main__"]))
    """,
    "imports itself": """
        import sys
        name = __file__.rpartition("/")[2][:-3]
        print("run as", __name__)
        if __name__ == "__main__":
            print(__import__(name).__file__, sorted(m for m in sys.modules if m == name))
    """,
    "exit 0": "import sys; sys.exit(0)",
    "exit 7": "import sys; sys.exit(7)",
    "exit -1": "raise SystemExit(-1)",
    "exit True": "raise SystemExit(True)",
    "exit 2**40": "raise SystemExit(2**40)",
    "exit None": "raise SystemExit",
    "exit text": "import sys; print('out'); sys.exit('gone wrong: ü')",
    "exit float": "raise SystemExit(1.5)",
    "exit tuple": "raise SystemExit(1, 2)",
    "exit subclass": """
        class Mine(SystemExit): pass
        raise Mine(4)
    """,
    "exit by site's exit": "exit(3)",
    "exit in a finally": """
        try:
            raise ValueError("lost")
        finally:
            raise SystemExit(9)
    """,
    "argparse error": """
        import argparse
        argparse.ArgumentParser().parse_args(["--nope"])
    """,
    "exception": """
        import json
        def load(text):
            return json.loads(text)
        print("before")
        load("{")
    """,
    "exception with notes, cause and context": """
        def f():
            try:
                {}["key"]
            except KeyError as error:
                error.add_note("a note")
                raise RuntimeError("second") from error
        try:
            f()
        finally:
            [][0]
    """,
    "exception group": """
        raise ExceptionGroup("several", [ValueError(1), TypeError("two")])
    """,
    "exception whose str fails": """
        class Bad(Exception):
            def __str__(self): raise ValueError
        raise Bad
    """,
    "name error with suggestion": "values = 1\nprint(valeus)",
    "assertion": "assert 1 == 2, 'no'",
    "import error": "import no_such_module_anywhere",
    "syntax error": "x = 1\nif x\n    print(1)\n",
    "indentation error": "def f():\nreturn 1\n",
    "tab error": "if 1:\n        a = 1\n\tb = 2\n",
    "unterminated string": "print('a)\n",
    "unclosed bracket": "f(1,\n  2\n",
    "return outside function": "return 1",
    "syntax error in an imported module": "import syntax_error",
    "syntax warning": "x = 1\nprint(x is 1)\n",
    "keyboard interrupt": "print('x'); raise KeyboardInterrupt",
    "keyboard interrupt with text": "raise KeyboardInterrupt('stop')",
    "signal interrupt": """
        import os, signal, time
        os.kill(os.getpid(), signal.SIGINT); time.sleep(5)
    """,
    "signal interrupt while threads are joined": """
        import os, signal, sys, threading, time, traceback
        def later():
            time.sleep(0.3); os.kill(os.getpid(), signal.SIGINT); time.sleep(0.5)
        threading.Thread(target=later).start()
        import atexit; atexit.register(print, "atexit")
    """,
    "killed by SIGTERM": """
        import os, signal
        print("never flushed"); os.kill(os.getpid(), signal.SIGTERM)
    """,
    "abort": "import os; os.abort()",
    "os._exit": "import os; print('lost'); os._exit(7)",
    "signal handlers": """
        import faulthandler, signal
        print([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)])
        print(faulthandler.is_enabled())
    """,
    "atexit": """
        import atexit
        atexit.register(print, "first registered, last called")
        @atexit.register
        def nested():
            print("nested", sorted(globals()))
            atexit.register(print, "registered while exiting")
        atexit.register(print, "last registered, first called")
        print("end")
    """,
    "atexit after an exception": """
        import atexit, sys
        atexit.register(lambda: print(sorted(globals()), sys.last_type, sys.last_traceback.tb_frame.f_code))
        1 / 0
    """,
    "atexit after an exit": """
        import atexit, sys
        atexit.register(lambda: print(sorted(globals()), hasattr(sys, "last_type")))
        sys.exit(3)
    """,
    "atexit that fails": """
        import atexit, sys
        atexit.register(print, "still called")
        atexit.register(lambda: 1 / 0)
        atexit.register(sys.exit, 5)
    """,
    "atexit unregistered": """
        import atexit
        atexit.register(print, "no"); atexit.unregister(print); print("end")
    """,
    "threads": """
        import threading, time
        def work(name, pause):
            time.sleep(pause); print(name, threading.main_thread().is_alive(), flush=True)
        threading.Thread(target=work, args=("joined", 0.2)).start()
        threading.Thread(target=work, args=("daemon", 20), daemon=True).start()
        import atexit; atexit.register(lambda: print("atexit", threading.active_count()))
        print("main ends", threading.active_count())
    """,
    "exception in a thread": """
        import threading
        t = threading.Thread(target=lambda: 1 / 0, name="worker"); t.start(); t.join()
    """,
    "thread pool at exit": """
        import concurrent.futures, time
        pool = concurrent.futures.ThreadPoolExecutor(2)
        def work(i):
            time.sleep(0.1); print("done", i, flush=True)
        pool.submit(work, 1)
        print("end")
    """,
    "asyncio": """
        import asyncio
        async def main():
            await asyncio.sleep(0); print("async"); raise ValueError
        asyncio.run(main())
    """,
    "destructors at the end": """
        import weakref
        class Noisy:
            def __init__(self, name): self.name = name
            def __del__(self): print("del", self.name, __name__)
        a = Noisy("a"); b = Noisy("b"); c = [Noisy("c")]; c.append(c)
        weakref.finalize(a, print, "finalized")
        import atexit; atexit.register(print, "atexit")
    """,
    "destructors after an exception": """
        class Noisy:
            def __del__(self): print("del")
        def f():
            x = Noisy()
            raise ValueError
        f()
    """,
    "fork that falls through": """
        import atexit, os, sys
        atexit.register(lambda: (print("atexit", os.getpid() == parent), sys.stdout.flush()))
        parent = os.getpid()
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        print("child" if not child else "parent", flush=True)
        sys.exit(0 if child else 4)
    """,
    "fork that raises": """
        import os
        child = os.fork()
        if not child:
            raise ValueError("in the child")
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    "multiprocessing": """
        import multiprocessing as mp, sys
        class Item:
            def __init__(self, x): self.x = x
        def double(item):
            return Item(2 * item.x)
        def where():
            return __name__, sys.argv, sys.modules["__main__"].__name__, "livegrad" in sys.modules
        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                with mp.get_context(method).Pool(1) as pool:
                    print(method, [i.x for i in pool.map(double, [Item(1), Item(2)])])
                    if method != "fork":
                        print(pool.apply(where))
        else:
            print("imported as", __name__, flush=True)
    """,
    "multiprocessing process that fails": """
        import multiprocessing as mp
        def fail():
            raise SystemExit(6)
        if __name__ == "__main__":
            for method in ("fork", "spawn"):
                p = mp.get_context(method).Process(target=fail); p.start(); p.join(); print(p.exitcode)
    """,
    "change of directory": """
        import os, tempfile
        os.chdir(tempfile.gettempdir()); print(__file__, os.path.exists(__file__))
    """,
    "working directory removed": """
        import os, tempfile
        folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder); print("gone")
    """,
    "warnings": """
        import warnings
        def f(): warnings.warn("in a function", stacklevel=2)
        f(); f()
        warnings.warn("deprecated", DeprecationWarning)
        print(warnings.filters, __warningregistry__)
    """,
    "own excepthook": """
        import sys, traceback
        def hook(kind, value, trace):
            print("hook", kind, value, traceback.extract_tb(trace), value.__traceback__ is trace)
        sys.excepthook = hook
        def f(): 1 / 0
        f()
    """,
    "excepthook that fails": """
        import sys
        def hook(*_): {}["nope"]
        sys.excepthook = hook
        1 / 0
    """,
    "excepthook that exits": """
        import sys
        sys.excepthook = lambda *_: sys.exit(8)
        1 / 0
    """,
    "excepthook None": "import sys\nsys.excepthook = None\n1 / 0",
    "excepthook deleted": "import sys\ndel sys.excepthook\n1 / 0",
    "stdout replaced": """
        import io, sys
        sys.stdout = io.StringIO(); print("into the buffer"); sys.__stdout__.write("direct")
    """,
    "stdout closed": "import sys; print('x'); sys.stdout.close()",
    "stderr closed": "import sys; sys.stderr.close(); 1 / 0",
    "stdout None": "import sys; sys.stdout = None; print('x')",
    "streams deleted": "import sys; del sys.stdout, sys.stderr; 1 / 0",
    "full device": """
        import os, sys
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1); print("cannot be written")
    """,
    "reads stdin": "import sys; print(repr(sys.stdin.read()))",
    "path emptied": """
        import sys
        sys.path.clear(); sys.meta_path.clear(); print("x")
    """,
    "arguments changed": "import sys; sys.argv[:] = ['other']; sys.argv = None; print('x')",
    "local module with a name of ours": "import click, textwrap; print(click.mine, textwrap.mine)",
    "logging": "import logging; logging.warning('w'); logging.getLogger('x').error('e')",
    "unittest": """
        import unittest
        class T(unittest.TestCase):
            def test_a(self): pass
            def test_b(self): self.fail()
        unittest.main(argv=["prog", "-k", "test_a"])
    """,
    "doctest": """
        '''
        >>> f(1)
        2
        '''
        def f(x): return x + 1
        import doctest; print(doctest.testmod())
    """,
    "torch is not imported": "import sys; print('torch' in sys.modules, 'numpy' in sys.modules)",
    "unraisable": """
        class Bad:
            def __del__(self): raise ValueError("in del")
        Bad(); print("on")
    """,
    "unicode": "print('日本語 ✓', ascii('ß'))",
    "latin-1 source": "# -*- coding: latin-1 -*-\nprint(ascii('é'))",
    "shebang and crlf": "#!/usr/bin/env python\r\nprint('x')\r\n1 / 0\r\n",
    "fault": "import sys; sys.setrecursionlimit(500); print(sys.getrecursionlimit())",
    "replaces itself": """
        import os, sys
        if "again" not in sys.argv:
            sys.stdout.flush(); os.execv(sys.executable, [sys.executable, __file__, "again"])
        print(sys.argv[1:], "livegrad" in sys.modules)
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(tmp_path, name):
    write(tmp_path, script=SCRIPTS[name], syntax_error="x = = 1", click="mine = 1", textwrap="mine = 2")
    if name != "local module with a name of ours":
        (tmp_path / "textwrap.py").unlink()
        (tmp_path / "click.py").unlink()
    plain, watched = both(tmp_path, "script.py", "--json", "-m", "x")
    assert watched == plain


PACKAGE_MAIN = """
    import pickle, sys
    from . import part
    class Thing: pass
    print(__name__, __package__, __spec__.name, __file__, sys.argv, sys.path[0], part.__name__)
    print(list(vars()), type(pickle.loads(pickle.dumps(Thing()))))
"""

SPAWNS = """
    import multiprocessing as mp
    def name(): return __name__
    if __name__ == "__main__":
        with mp.get_context("spawn").Pool(1) as pool: print(pool.apply(name))
"""


@pytest.fixture
def package(tmp_path):
    """A package that can be run, with runnable, failing and exiting modules in it."""
    folder = tmp_path / "package"
    folder.mkdir()
    write(
        folder,
        __init__="import sys; print('package imported with', sys.argv[0])",
        __main__=PACKAGE_MAIN,
        part="x = 1",
        module="import package.part as p; print(__name__, __package__, p.x)",
        spawns=SPAWNS,
        fails="def f(): raise ValueError('here')\nf()",
        exits="raise SystemExit('bye')",
        interrupted="raise KeyboardInterrupt",
        wrong="x = = 1",
    )
    bare = tmp_path / "bare"
    bare.mkdir()
    write(bare, __init__="")
    (tmp_path / "namespace").mkdir()
    write(tmp_path, broken="import no_such_module")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "package", "--quiet", "-c"),
        ("-m", "package.module"),
        ("-mpackage.module", "x"),
        ("-m", "package.spawns"),
        ("-m", "package.fails"),
        ("-m", "package.exits"),
        ("-m", "package.interrupted"),
        ("-m", "package.wrong"),
        ("-m", "package.absent"),
        ("-m", "absent"),
        ("-m", "absent.part"),
        ("-m", "broken"),
        ("-m", "bare"),
        ("-m", "namespace"),
        ("-m", "package/module.py"),
        ("-m", "package.module.py"),
        ("-m", ".relative"),
        ("-m", "json.tool", "--help"),
        ("-m", "timeit", "-n", "1", "print(__name__)", "-h"),
    ],
    ids=" ".join,
)
def test_module(package, arguments):
    plain, watched = both(package, *arguments)
    if "timeit" in arguments:  # it prints a time
        plain, watched = (re.sub(rb"[\d.]+ \w*sec", b"T", result[1]) for result in (plain, watched))
    assert watched == plain


SHOW = "import sys\nprint(__name__, __package__, __spec__, sys.argv, sys.path[0], vars().get('__file__'))\n"


@pytest.mark.parametrize(
    "code",
    [
        SHOW + "print(list(vars()), __loader__)",
        "",
        "1 / 0",
        "def f():\n  {}['x']\nf()",
        "x = = 1",
        "import sys; sys.exit(4)",
        "raise KeyboardInterrupt",
        "import pickle\nclass A: pass\nprint(pickle.dumps(A()))",
        "from __future__ import annotations\ndef f(x: nope): pass\nprint(f.__annotations__)",
        "import multiprocessing as m\nm.get_context('fork').Process(target=print, args=('child',)).start()",
    ],
)
def test_code(tmp_path, code):
    plain, watched = both(tmp_path, "-c", code, "--out", "nowhere", "-m")
    assert watched == plain


def test_folder_with_main(tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    write(
        folder,
        __main__=SHOW + "import helper\nhelper.f()",
        helper="def f(): print('h'); raise OSError('in helper')",
    )
    for spelling in ("app", "./app", "app/", str(folder)):
        plain, watched = both(tmp_path, spelling, "-x")
        assert watched == plain
    plain, watched = both(tmp_path, "app", flags=("-P",))
    assert watched == plain


def test_zip_file_with_main(tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as file:
        file.writestr("__main__.py", SHOW + "import helper\n1 / 0")
        file.writestr("helper.py", "print(__file__)")
    plain, watched = both(tmp_path, "app.zip", "-x")
    assert watched == plain


def test_folder_without_main(tmp_path):
    (tmp_path / "empty").mkdir()
    plain, watched = both(tmp_path, "empty")
    assert watched == plain


def test_compiled_script(tmp_path):
    import py_compile

    write(tmp_path, script=SHOW + "1 / 0")
    py_compile.compile(str(tmp_path / "script.py"), cfile=str(tmp_path / "script.pyc"))
    plain, watched = both(tmp_path, "script.pyc")
    assert watched == plain


@pytest.mark.parametrize(
    "spelling", ["./script.py", "../{}/script.py", "deep/../script.py", "link.py", "{}/script.py", "script"]
)
def test_spelling_of_the_path(tmp_path, spelling):
    write(tmp_path, script=SHOW + "1 / 0")
    (tmp_path / "deep").mkdir()
    (tmp_path / "script").write_text(SHOW)
    (tmp_path / "deep" / "link.py").symlink_to(tmp_path / "script.py")
    (tmp_path / "link.py").symlink_to("deep/link.py")
    start = str(tmp_path) if spelling.startswith("{") else tmp_path.name
    plain, watched = both(tmp_path, spelling.format(start))
    assert watched == plain


@pytest.mark.parametrize(
    "flags",
    [
        ("-O",),
        ("-W", "error"),
        ("-W", "default::DeprecationWarning:__main__"),
        ("-X", "dev"),
        ("-B", "-s"),
        ("-P",),
        ("-u",),
    ],
    ids=" ".join,
)
def test_flags_of_python(tmp_path, flags):
    write(
        tmp_path,
        script="""
            import sys, warnings
            assert len(sys.argv) > 1, "removed by -O"
            print(sys.flags, sys.path[0], sys.dont_write_bytecode, __debug__)
            warnings.warn("old", DeprecationWarning)
        """,
    )
    plain, watched = both(tmp_path, "script.py", flags=flags)
    assert watched == plain


def test_environment_is_untouched(tmp_path):
    write(tmp_path, script="import os; print(sorted(os.environ.items()))")
    plain, watched = both(tmp_path, "script.py", PYTHONSAFEPATH="1")
    assert watched == plain


def test_order_of_stdout_and_stderr(tmp_path):
    """Both into one pipe: what was printed comes before the traceback, as python has it."""
    write(
        tmp_path,
        script="""
            import atexit, sys
            atexit.register(print, "atexit")
            print("out"); print("err", file=sys.stderr); print("out again")
            1 / 0
        """,
        leaves="import sys; print('out'); sys.exit('bye')",
    )
    for script in ("script.py", "leaves.py"):
        plain, watched = both(tmp_path, script, merge=True)
        assert watched == plain


def test_script_from_stdin(tmp_path):
    plain, watched = both(tmp_path, "-", "x", source=b"print(vars())\ndef f(): 1 / 0\nf()\n")
    assert watched == plain


def test_run_from_the_folder_of_a_module_named_like_ours(tmp_path):
    """`python -m livegrad` puts the current directory first in sys.path; what lies there is not for us."""
    write(tmp_path, script="import json, rich; print(json.mine, rich.mine)", json="mine = 1", rich="mine = 2")
    write(tmp_path, inspect="raise SystemExit('a local inspect.py was imported')", dataclasses="1/0")
    assert both(tmp_path, "script.py")[1] == (0, b"1 2\n", b"")
