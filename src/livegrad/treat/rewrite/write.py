"""Writing changed files: all or none, each in one move, never over a change that somebody made since."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livegrad.errors import UsageError


@dataclass(frozen=True)
class Written:
    """The files that were written."""

    files: tuple[Path, ...]


def write_files(before: Mapping[Path, bytes], after: Mapping[Path, bytes]) -> Written:
    """Put `after` in the place of `before`; modes and links stay. Raises UsageError, with every file as it
    was, if one is not `before` any more or cannot be written.
    """
    for path in after:
        _check(path, before[path])
    ready: dict[Path, Path] = {}
    done: list[Path] = []
    try:
        for path, raw in after.items():
            ready[path] = _beside(path, raw)
        for path, new in ready.items():
            new.replace(path)
            done.append(path)
    except OSError as error:
        for path in done:
            _beside(path, before[path]).replace(path)
        name = error.filename or ""
        raise UsageError(f"cannot write {name!r}: {error.strerror}; nothing was changed") from error
    finally:
        for new in ready.values():
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
    return Written(tuple(done))


def _check(path: Path, before: bytes) -> None:
    try:
        now = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r} any more: {error.strerror}") from error
    if now != before:
        raise UsageError(
            f"{str(path)!r} has changed since the diff was made; nothing was written. "
            "Run the same command again."
        )
    if not os.access(path, os.W_OK):
        raise UsageError(
            f"{str(path)!r} may not be written (mode {path.stat().st_mode & 0o777:o}); nothing was changed. "
            "Make it writable, or use --diff and apply the diff elsewhere."
        )


def _beside(path: Path, raw: bytes) -> Path:
    """A new file in the same folder, with the mode of `path`, whose bytes have reached the disk."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        new.write(raw)
        new.flush()
        os.fsync(new.fileno())
    shutil.copymode(path, new.name)
    return Path(new.name)
