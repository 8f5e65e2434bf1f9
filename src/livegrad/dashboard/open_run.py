"""A run that is looked at: read on, and diagnosed anew, as it grows. Threads take turns."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livegrad.errors import LivegradError
from livegrad.run.reader import Run, load

# Diagnosing a run that is being written takes at most this share of the server's time.
_SHARE = 0.1


@dataclass(frozen=True)
class State:
    """How far a run is. stamp: changes whenever there is something new to show. version: of the diagnosis,
    0 before the first. words: "live", "finished", "stopped early", …; is_live, steps: so far.
    """

    stamp: str
    version: int
    words: str
    is_live: bool
    steps: int


class OpenRun:
    """One run folder, opened: a reader for what is quick, one for figures that read long, one for the
    diagnosis, so that none keeps the others waiting.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock, self._long_lock = threading.RLock(), threading.RLock()
        self._run = load(path)
        self._long, self._judged = self._run.fork(), self._run.fork()
        self._document: dict[str, Any] | None = None
        self._length = -1
        self._next = 0.0
        self._version = 0
        self._worker: threading.Thread | None = None

    @contextmanager
    def reading(self, *, long: bool = False) -> Iterator[Run]:
        """The run, which nobody else reads meanwhile. long: for what takes long."""
        with self._long_lock if long else self._lock:
            if long:
                self._long.refresh()
            yield self._long if long else self._run

    def state(self) -> State:
        """Read on, start a diagnosis when one is due, and say how far the run is.

        Raises RunError where the folder is gone or cannot be read just now.
        """
        with self._lock:
            run = self._run
            run.refresh()
            recorded, scans, is_live = len(run), len(run.scans()), run.is_live
            words = "live" if is_live else "stopped early" if run.status == "running" else run.status
            self._judge(recorded + scans + (run.status != "running"))
            stamp = f"{run.info.created}-{recorded}-{scans}-{words}-{self._version}"
            return State(stamp, self._version, words, is_live, _steps(run))

    def document(self) -> dict[str, Any] | None:
        """The latest diagnosis as a JSON document, {"failed": why} where there is none; None while the first
        is being made.
        """
        return self._document

    def _judge(self, length: int) -> None:
        due = length != self._length and time.monotonic() >= self._next
        if due and (self._worker is None or not self._worker.is_alive()):
            self._length = length
            self._worker = threading.Thread(target=self._diagnose, daemon=True)
            self._worker.start()

    def _diagnose(self) -> None:
        began = time.monotonic()
        try:
            self._judged.refresh()
            document = self._judged.report().to_dict()
        except LivegradError as error:
            document = {"failed": str(error)}
        except Exception as error:  # a damaged run must not end the page that shows the rest of it
            document = {"failed": f"this run cannot be diagnosed ({type(error).__name__}: {error})"}
        self._document = document
        self._version += 1
        ended = time.monotonic()
        self._next = ended + (ended - began) / _SHARE


def _steps(run: Run) -> int:
    """Optimizer steps of the subject that took most: run.json lags behind the stream by seconds."""
    step = run.last_step
    return max(run.info.steps or 0, 0 if step is None else step + 1)
