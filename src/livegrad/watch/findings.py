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
FIRST_GUESS = 2e-4


def load_diagnosis() -> None:
    """Import what reads and judges a run.

    Done when the watching starts, because later the program's own folder is searched first.
    """
    for name in ("livegrad.run.reader", "livegrad.diagnose.diagnose"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def judged(path: Path) -> list[dict[str, Any]]:
    """The findings about the run as it is on disk; none where it cannot be judged."""
    try:
        return importlib.import_module("livegrad.run.reader").load(path).report().findings
    except Exception:  # half a run, or a rule that stumbles over one: the report at the end will say
        return []


class Announcer:
    """Asks for a diagnosis after a scan, and announces an error that two of them in a row agree on. Once.

    A diagnosis takes from some milliseconds to some tenths of a second. So it is asked at once only where a
    scan looks wrong, and that twice; otherwise when it is a small share of the time since. At most eight
    times in all.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self.failed = False
        self._say = say
        self._suspected: set[tuple[str, str]] = set()
        self._left = MOST_QUESTIONS
        self._free = FREE_QUESTIONS
        self._spent = 0.0
        self._last: float | None = None
        self._began = time.perf_counter()

    def affordable(self, suspicious: bool, entries: int) -> bool:
        """Whether one more diagnosis is worth its time.

        suspicious: something looks wrong. entries: tensors and layers of the run, to foresee the first price.
        """
        if suspicious and self._free:
            return True
        price = self._last if self._last is not None else FIRST_GUESS * entries
        elapsed = time.perf_counter() - self._began
        return self._left > 0 and self._spent + price <= SHARE * elapsed

    def ask(self, path: Path) -> list[dict[str, Any]]:
        """Judge the run as it is on disk; return the findings. A diagnosis that fails is not asked again."""
        begun = time.perf_counter()
        self._left -= 1
        self._free = max(0, self._free - 1)
        try:
            reader = importlib.import_module("livegrad.run.reader")
            findings = reader.load(path).report().findings
        except Exception:  # half a run, or a rule that stumbles over one: the report at the end will say
            self.failed, self._left, self._free = True, 0, 0
            return []
        finally:
            self._last = time.perf_counter() - begun
            self._spent += self._last
        errors = {(f["code"], f["subject"]): f for f in findings if f["severity"] == "error"}
        known = next((finding for key, finding in errors.items() if key in self._suspected), None)
        self._suspected = set(errors)
        if known is not None:
            self._left = self._free = 0
            self._say(known)
        return findings
