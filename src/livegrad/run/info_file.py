"""Finds a run folder and reads its run.json, also while it is being rewritten."""

import json
import re
from pathlib import Path
from typing import Any

from livegrad.errors import RunError
from livegrad.run.columns import SCHEMA_VERSION
from livegrad.run.folder import DEFAULT_BASE, RUN_FILE, find_runs, rank_file
from livegrad.run.schema import RunInfo

_RANK = re.compile(r"^rank(\d+)\.(?:arrows|json)$")


class InfoFile:
    """The JSON of one rank of a run folder: run.json, overlaid with rank<r>.json for ranks other than 0.

    `read` gives it as it is now, `changed` says whether it was rewritten since. Raises RunError where there
    is no such run or rank, the file is not whole, or a newer livegrad wrote it.
    """

    def __init__(self, path: Path, rank: int) -> None:
        self.folder = folder_of(path, rank)
        names = dict.fromkeys((RUN_FILE, rank_file(rank)))
        self.files = [self.folder / name for name in names if (self.folder / name).exists()]
        ranks = ranks_in(self.folder)
        if rank and rank not in ranks:
            raise RunError(f"{str(self.folder)!r} has no rank {rank}. Pass one of {list(ranks)} as rank=…")
        self._stamps: list[tuple[int, int, int]] = []

    def read(self) -> RunInfo:
        """What the file says now."""
        self._stamps = [_stamp(file) for file in self.files]
        document: dict[str, Any] = {}
        for file in self.files:
            document |= _read_object(file)
        return RunInfo.from_json(document)

    def changed(self) -> bool:
        """Whether the file was rewritten since `read`."""
        return self._stamps != [_stamp(file) for file in self.files]

    def last_change(self) -> float:
        """Seconds since the epoch."""
        return max(stamp[0] for stamp in self._stamps) / 1e9


def ranks_in(folder: Path) -> tuple[int, ...]:
    """The ranks that wrote into this folder, ascending; (0,) for a run that has recorded no step yet."""
    found = {int(match.group(1)) for item in folder.iterdir() if (match := _RANK.match(item.name))}
    return tuple(sorted(found | ({0} if (folder / RUN_FILE).exists() else set())))


def folder_of(path: Path, rank: int = 0) -> Path:
    """The run folder that `path` (a folder, or a file in it) means. Raises RunError where it is none."""
    try:
        folder = path.parent if path.is_file() else path
        if any((folder / name).exists() for name in (RUN_FILE, rank_file(rank))):
            return folder
        raise RunError(_why_not(path))
    except (OSError, ValueError) as error:
        raise RunError(
            f"cannot open {str(path)!r}: {getattr(error, 'strerror', None) or error}. "
            "Check the path and its permissions."
        ) from error


def _why_not(path: Path) -> str:
    if not path.exists():
        return f"no such run: {str(path)!r}. Look in ./{DEFAULT_BASE}, where livegrad run puts them."
    if path.is_file():
        return f"{str(path)!r} is not a run: pass the folder that holds {RUN_FILE}."
    runs = find_runs(path)
    if runs:
        return f"{str(path)!r} is not a run but holds {len(runs)}. The newest: {str(runs[-1])!r}"
    ranks = ranks_in(path)
    if ranks:
        return f"{str(path)!r} has no {RUN_FILE}, only ranks {list(ranks)}. Pass one of them as rank=…"
    return (
        f"{str(path)!r} is not a run: it holds no {RUN_FILE}. "
        "If the run has only just been started, try again; else pass the folder that livegrad run named."
    )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror}. Is it there and readable?") from error
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"{str(path)!r} is not whole JSON ({error}). "
            "If the folder is being copied, wait and try again; else copy it again from its source."
        ) from error
    if not isinstance(document, dict):
        raise RunError(f"{str(path)!r} holds no JSON object. Pass the folder that livegrad run named.")
    version = document.get("schema")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise newer_version_error(path, version)
    return document


def newer_version_error(path: Path, version: int) -> RunError:
    """The error for a run that a later livegrad wrote."""
    return RunError(
        f"{str(path)!r} has schema {version}; this livegrad reads up to schema {SCHEMA_VERSION}. "
        "Upgrade it: pip install --upgrade livegrad"
    )


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes when the file does."""
    try:
        found = path.stat()
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror}. Was the run folder moved?") from error
    return found.st_mtime_ns, found.st_size, found.st_ino
