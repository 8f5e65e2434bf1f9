"""What run.json alone says of a run: for lists of many, whose streams nobody reads."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from livegrad.run.folder import pulse_file
from livegrad.run.info_file import InfoFile
from livegrad.run.schema import RunInfo

_QUIET_SECONDS = 120.0


@dataclass(frozen=True)
class Glance:
    """A run's info, and whether it is still being written."""

    info: RunInfo
    is_live: bool


def glance(path: Path, rank: int = 0) -> Glance:
    """Look at the run folder at `path`. Raises RunError where its run.json cannot be read."""
    file = InfoFile(path, rank)
    info = file.read()
    return Glance(info, is_live(info, file, path / pulse_file(rank)))


def is_live(info: RunInfo, file: InfoFile, pulses: Path) -> bool:
    """Whether a run is still being written.

    On the machine it runs on: whether its process is alive. Elsewhere: whether it wrote in the last two
    minutes.
    """
    if info.status != "running":
        return False
    if info.pid and info.host == socket.gethostname() and os.name == "posix":
        return _is_alive(info.pid)
    return time.time() - max(file.last_change(), _changed(pulses)) < _QUIET_SECONDS


def _changed(path: Path) -> float:
    """Time of the last change, in seconds since the epoch; 0 where the file is not there."""
    return path.stat().st_mtime if path.exists() else 0.0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
