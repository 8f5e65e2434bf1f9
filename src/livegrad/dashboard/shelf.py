"""The runs that are served: found under one folder, opened when asked for, a few kept open."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livegrad.errors import LivegradError, RunError
from livegrad.run.folder import RUN_FILE
from livegrad.run.reader import Run, load

_KEPT_OPEN = 6
# Diagnosing a run that is being written takes at most this share of the server's time.
_SHARE = 0.2
_TRIAL = "trial.json"


@dataclass(frozen=True)
class Entry:
    """One line of the list of runs. id: its path below the served folder. trial: the treatment it is an arm
    of, or None. damage: why it cannot be read, or None.
    """

    id: str
    script: str
    status: str
    created: str
    steps: int | None
    trial: str | None = None
    damage: str | None = None


class OpenRun:
    """A run that is looked at: read on, and diagnosed anew, as it grows. Threads take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._run = load(path)
        # A reader of its own, so that a long diagnosis keeps no figure waiting.
        self._diagnosed: Run | None = None
        self._document: dict[str, Any] | None = None
        self._length = -1
        self._next = 0.0
        self._version = 0
        self._worker: threading.Thread | None = None

    def __enter__(self) -> Run:
        """Hold the run: nobody else reads or extends it meanwhile."""
        self._lock.acquire()
        return self._run

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def stamp(self) -> str:
        """What changes whenever there is something new to show; reads on, and starts a diagnosis when due."""
        with self._lock:
            self._run.refresh()
            length = len(self._run) + len(self._run.scans()) + (self._run.status != "running")
            due = length != self._length and time.monotonic() >= self._next
            if due and (self._worker is None or not self._worker.is_alive()):
                self._length = length
                self._worker = threading.Thread(target=self._diagnose, daemon=True)
                self._worker.start()
            live = "live" if self._run.is_live else self._run.status
            return f"{len(self._run)}-{len(self._run.scans())}-{live}-{self._version}"

    def document(self) -> dict[str, Any] | None:
        """The latest diagnosis as a JSON document; None while the first is being made."""
        return self._document

    def _diagnose(self) -> None:
        began = time.monotonic()
        try:
            if self._diagnosed is None:
                self._diagnosed = load(self.path)
            self._diagnosed.refresh()
            document = self._diagnosed.report().to_dict()
        except LivegradError as error:
            document = {"failed": str(error)}
        self._document = document
        self._version += 1
        ended = time.monotonic()
        self._next = ended + (ended - began) / _SHARE


class Shelf:
    """The run folders under `base`: its own children, and the arms of treatments among them.

    only: the one run that is served, if not the whole folder.
    """

    def __init__(self, base: Path, only: str | None = None) -> None:
        self.base = base.resolve()
        self.only = only
        self._open: OrderedDict[str, OpenRun] = OrderedDict()
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[float, Entry]] = {}

    def entries(self) -> list[Entry]:
        """All runs, the newest first; those that cannot be read say why."""
        found = []
        for id, trial in self._ids():
            try:
                changed = (self.base / id / RUN_FILE).stat().st_mtime
            except OSError:
                continue
            known = self._entries.get(id)
            if known is None or known[0] != changed or known[1].status == "live":
                self._entries[id] = (changed, self._entry(id, trial))
            found.append(self._entries[id][1])
        return sorted(found, key=lambda entry: (entry.created, entry.id), reverse=True)

    def treatments(self) -> list[str]:
        """The folders of treatments, the newest first."""
        if self.only is not None:
            return []
        return sorted((path.parent.name for path in self.base.glob(f"*/{_TRIAL}")), reverse=True)

    def open(self, id: str) -> OpenRun:
        """Return the run called `id`. Raises RunError for anything that is not one of the served runs."""
        if id not in {known for known, _ in self._ids()}:
            raise RunError(f"there is no run {id!r} in the folder that is served")
        with self._lock:
            if id in self._open:
                self._open.move_to_end(id)
                return self._open[id]
        opened = OpenRun(self.base / id)
        with self._lock:
            opened = self._open.setdefault(id, opened)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
        return opened

    def _ids(self) -> list[tuple[str, str | None]]:
        """Every served run below the base, and the treatment it belongs to; links that lead out are none."""
        if self.only is not None:
            return [(self.only, None)]
        runs = [(path.parent, None) for path in self.base.glob(f"*/{RUN_FILE}")]
        for trial in self.base.glob(f"*/{_TRIAL}"):
            runs += [(path.parent, trial.parent.name) for path in trial.parent.rglob(RUN_FILE)]
        return [
            (path.relative_to(self.base).as_posix(), trial)
            for path, trial in runs
            if path.resolve().is_relative_to(self.base)
        ]

    def _entry(self, id: str, trial: str | None) -> Entry:
        try:
            run = load(self.base / id)
        except (LivegradError, OSError) as error:
            return Entry(id, "", "unreadable", "", None, trial, str(error))
        info = run.info
        status = "live" if run.is_live else "stopped" if info.status == "running" else info.status
        return Entry(
            id, " ".join(info.command) or info.script or id, status, info.created or "", info.steps, trial
        )
