"""One child process of a trial: in a session of its own, ended with all that it started."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

OUTPUT = "output.txt"
# What a child gets to end by itself before it is killed.
GRACE_SECONDS = 3.0
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_LEASH = Path(__file__).with_name("leash.py")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Child:
    """A running command. Its output goes to `folder`/output.txt; it reads nothing.

    It leads a session of its own, so that a Ctrl-C on the terminal is not its business: whoever started it
    decides (`end`). Should that process die, the kernel ends this one.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        leash = [sys.executable, "-I", str(_LEASH), str(os.getpid())]
        with (folder / OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs; a signal is a negative number. What it left behind when it
        ended (worker processes) is ended too.
        """
        code = self._process.poll()
        if code is not None:
            self._signal(_KILL)
        return code

    def end(self) -> None:
        """End it and all that it started: it is asked first, so that it ends its own workers; what is left
        is killed.
        """
        if self._process.poll() is None:
            self._process.terminate()
            deadline = time.monotonic() + GRACE_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
        self._signal(_KILL)
        with contextlib.suppress(Exception):
            self._process.wait(timeout=GRACE_SECONDS)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, number)
            elif self._process.poll() is None:
                self._process.kill()


def child_environment(threads: int, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a run: the user's own, with its share of threads where they set none."""
    environment = dict(os.environ if base is None else base)
    for name in _THREADS:
        environment.setdefault(name, str(threads))
    return environment


def last_words(folder: Path, lines: int = 1) -> str:
    """The last lines that a run printed, for an error message; empty where it printed none."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(kept[-lines:])
