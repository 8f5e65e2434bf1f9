"""The runs that are served: found under one folder, opened when asked for, a few kept open."""

import os
import re
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from livegrad.dashboard.open_run import OpenRun
from livegrad.errors import LivegradError, RunError
from livegrad.run.folder import RUN_FILE
from livegrad.run.glance import glance

TRIAL_FILE = "trial.json"
_KEPT_OPEN = 4
_ARMS = ("arms/*/*", "arms/*/*/*")
_READ = re.compile(r"run\.json|rank\d+(\.(scans|losses))?\.arrows|rank\d+\.json")


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


class Shelf:
    """The run folders under `base`: its own children, and the arms of treatments among them.

    only: the one run or treatment that is served, if not the whole folder.
    """

    def __init__(self, base: Path, only: str | None = None) -> None:
        self.base = base.resolve()
        self.only = only
        self._open: OrderedDict[str, OpenRun] = OrderedDict()
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[int, Entry]] = {}

    def entries(self) -> list[Entry]:
        """All runs, the newest first; those that cannot be read say why."""
        found = []
        for id, trial in self._ids():
            try:
                changed = (self.base / id / RUN_FILE).stat().st_mtime_ns
            except OSError:
                continue
            known = self._entries.get(id)
            if known is None or known[0] != changed or known[1].status == "live":
                known = self._entries[id] = (changed, self._entry(id, trial))
            found.append(known[1])
        return sorted(found, key=lambda entry: (entry.created, entry.id), reverse=True)

    def arms(self, trial: str) -> list[Entry]:
        """The runs of a treatment, the newest first."""
        return [entry for entry in self.entries() if entry.trial == trial]

    def treatments(self) -> list[str]:
        """The folders of treatments, the newest first."""
        names = [path.parent.name for path in self.base.glob(f"*/{TRIAL_FILE}")]
        return sorted((name for name in names if self.treatment(name) is not None), reverse=True)

    def treatment(self, name: str) -> Path | None:
        """The folder of the treatment called `name`; None for anything that is not one that is served."""
        folder = self._inside(name)
        if folder is None or "/" in name or self.only not in (None, name):
            return None
        return folder if _is_plain(folder / TRIAL_FILE) else None

    def open(self, id: str) -> OpenRun:
        """Return the run called `id`. Raises RunError for anything that is not one of the served runs, and
        for one that cannot be read.
        """
        path = self._folder(id)
        if path is None:
            raise RunError(f"there is no run {id!r} in the folder that is served")
        with self._lock:
            if id in self._open:
                self._open.move_to_end(id)
                return self._open[id]
        check_links(path, self.base)
        opened = OpenRun(path)
        with self._lock:
            opened = self._open.setdefault(id, opened)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
        return opened

    def _folder(self, id: str) -> Path | None:
        """The folder of the run `id`, if it is one of those that are served."""
        first, _, rest = id.partition("/")
        path = self._inside(id)
        if path is None or self.only not in (None, first):
            return None
        if rest and self.treatment(first) is None:
            return None
        try:
            return path if (path / RUN_FILE).is_file() else None
        except OSError:
            return None

    def _inside(self, id: str) -> Path | None:
        """The path below the base, unless it leads out of it, by its words or by links."""
        if not id or "\0" in id or "\\" in id or any(part in ("", ".", "..") for part in id.split("/")):
            return None
        try:
            path = self.base / id
            return path if path.resolve().is_relative_to(self.base) else None
        except (OSError, ValueError, RuntimeError):
            return None

    def _ids(self) -> list[tuple[str, str | None]]:
        """Every served run below the base, and the treatment it belongs to; links that lead out are none."""
        pattern = "*" if self.only is None else _literal(self.only)
        runs: list[tuple[Path, str | None]] = [
            (path.parent, None) for path in self.base.glob(f"{pattern}/{RUN_FILE}")
        ]
        for trial in self.treatments():
            for depth in _ARMS:
                found = (self.base / trial).glob(f"{depth}/{RUN_FILE}")
                runs += [(path.parent, trial) for path in found]
        ids = [(path.relative_to(self.base).as_posix(), trial) for path, trial in runs]
        return [(id, trial) for id, trial in ids if self._folder(id) is not None]

    def _entry(self, id: str, trial: str | None) -> Entry:
        try:
            check_links(self.base / id, self.base)
            seen = glance(self.base / id)
        except (LivegradError, OSError, TypeError, ValueError) as error:
            return Entry(id, "", "unreadable", "", None, trial, str(error))
        info = seen.info
        status = "live" if seen.is_live else "stopped" if info.status == "running" else info.status
        script = " ".join(map(str, info.command)) or str(info.script or id)
        return Entry(id, script, status, str(info.created or ""), info.steps, trial)


def check_links(run: Path, base: Path) -> None:
    """Raise RunError where one of the files that are read of a run is a link out of `base`, or no file."""
    with os.scandir(run) as items:
        for item in items:
            if _READ.fullmatch(item.name) is None:
                continue
            path = Path(item.path)
            if item.is_symlink() and not path.resolve().is_relative_to(base):
                raise RunError(f"{item.name!r} of this run is a link out of the folder that is served")
            if not path.is_file():
                raise RunError(f"{item.name!r} of this run is not a file")


def _is_plain(path: Path) -> bool:
    """Whether there is a file, and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _literal(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)
