"""Says the first serious finding while the program still runs, if asking is cheap."""

import contextlib
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_QUESTIONS = 8
SHARE = 0.002
FREE_QUESTIONS = 2


def load_diagnosis() -> None:
    """Import what reads and judges a run.

    Done when the watching starts, because later the program's own folder is searched first.
    """
    for name in ("livegrad.run.reader", "livegrad.diagnose.diagnose"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class Announcer:
    """Asks for a diagnosis after a scan, and announces an error that two of them in a row agree on. Once.

    A diagnosis takes some tens of milliseconds. So after the first two it is asked only when that is a small
    share of the time since, and at most eight times in all.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._suspected: set[tuple[str, str]] = set()
        self._left = MOST_QUESTIONS
        self._spent = 0.0
        self._last = 0.0
        self._began = time.perf_counter()

    def affordable(self) -> bool:
        """Whether one more diagnosis is worth its time."""
        if self._left > MOST_QUESTIONS - FREE_QUESTIONS:
            return True
        elapsed = time.perf_counter() - self._began
        return self._left > 0 and self._spent + self._last <= SHARE * elapsed

    def ask(self, path: Path) -> None:
        """Judge the run as it is on disk. A diagnosis that fails is not asked again."""
        begun = time.perf_counter()
        self._left -= 1
        try:
            reader = importlib.import_module("livegrad.run.reader")
            findings = reader.load(path).report().findings
        except Exception:  # half a run, or a rule that stumbles over one: the report at the end will say
            self._left = 0
            return
        finally:
            self._last = time.perf_counter() - begun
            self._spent += self._last
        errors = {(f["code"], f["subject"]): f for f in findings if f["severity"] == "error"}
        known = next((finding for key, finding in errors.items() if key in self._suspected), None)
        self._suspected = set(errors)
        if known is not None:
            self._left = 0
            self._say(known)
