"""Writes a run folder: run.json whole or not at all, streams whole up to the last row after a kill."""

import errno
import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import livegrad
from livegrad.errors import UsageError
from livegrad.run import strict_json
from livegrad.run.batch import END_OF_STREAM, BatchEncoder
from livegrad.run.columns import LOSS_COLUMNS, PULSE_COLUMNS, SCAN_COLUMNS, SCHEMA_VERSION, Column
from livegrad.run.folder import create_run_folder, loss_file, pulse_file, rank_file, scan_file
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.schema import RunInfo

__all__ = ["RunWriter", "create_run_folder", "utc_now"]

_INFO_KEYS = frozenset(item.name for item in fields(RunInfo))


def utc_now() -> str:
    """Now, UTC, in ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class RunWriter:
    """The one writer of one rank's files in a run folder.

    `info` holds the first fields of run.json; id, created, status, pid and host are filled in where it does
    not name them. Each `pulse` and `scan` is one `write` to the operating system, so what it returned from
    survives SIGKILL. Raises UsageError where the folder already holds this rank's run; every method lets
    OSError (disk full, folder gone) through to the caller, and what was written before then stays readable.
    """

    def __init__(self, path: Path, info: Mapping[str, Any], rank: int = 0) -> None:
        self.path = Path(path).absolute()  # the script may change its directory
        self.rank = rank
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a signal handler may close the run in the middle of a call
        self._encoded: dict[str, str] = {}
        self._refuse_existing()
        self._pulses = _StreamFile(self.path / pulse_file(rank), PULSE_COLUMNS)
        self._scans = _StreamFile(self.path / scan_file(rank), SCAN_COLUMNS)
        self._losses: _StreamFile | None = None  # many programs keep theirs on a device, where none is read
        self.update(**{**self._defaults(), **info})

    def _defaults(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA_VERSION,
            "livegrad": livegrad.__version__,
            "id": self.path.name,
            "created": utc_now(),
            "ended": None,
            "status": "running",
            "rank": self.rank,
            "pid": self._pid,
            "host": socket.gethostname(),
        }

    def _refuse_existing(self) -> None:
        for name in (rank_file(self.rank), pulse_file(self.rank)):
            if (self.path / name).exists():
                raise UsageError(
                    f"{str(self.path)!r} already holds a run ({name}) and is not overwritten. "
                    "Give another folder, or remove that one first."
                )

    def update(self, **info: Any) -> None:
        """Replace these fields of run.json and rewrite the file in one move.

        Raises TypeError for a field that RunInfo does not have.
        """
        unknown = info.keys() - _INFO_KEYS
        if unknown:
            raise TypeError(f"run.json has no field {sorted(unknown)}; known: {sorted(_INFO_KEYS)}")
        if not self._is_mine():
            return
        with self._lock:
            for key, value in {**info, "updated": utc_now()}.items():
                self._encoded[key] = strict_json.dumps(value)
            body = ",\n".join(f"{json.dumps(key)}: {text}" for key, text in self._encoded.items())
            strict_json.replace_text(self.path / rank_file(self.rank), "{" + body + "}\n")

    def pulse(self, row: PulseRow) -> None:
        """Append one recorded optimizer step.

        Raises ValueError where an array is not as long as `row.tensor`, OSError where it cannot be written.
        """
        self._append(self._pulses, row, 1, len(row.tensor))

    def scan(self, row: ScanRow) -> None:
        """Append one scan: one row per layer, in one batch. Raises as `pulse` does."""
        self._append(self._scans, row, len(row.layer), 0)

    def losses(self, step: np.ndarray, subject: np.ndarray, loss: np.ndarray) -> None:
        """Append the losses of some steps, arrays of one length, in one batch. Raises as `pulse` does."""
        self._check_mine()
        with self._lock:
            if self._losses is None:
                self._losses = _StreamFile(self.path / loss_file(self.rank), LOSS_COLUMNS)
            self._losses.append({"step": step, "subject": subject, "loss": loss}, len(step), 0)

    def _append(self, stream: "_StreamFile", row: PulseRow | ScanRow, rows: int, entries: int) -> None:
        self._check_mine()
        with self._lock:
            stream.append({name: getattr(row, name) for name in stream.names}, rows, entries)

    def _check_mine(self) -> None:
        if not self._is_mine():
            raise OSError(
                errno.EPERM, "a forked child does not write to its parent's run folder", str(self.path)
            )

    def close(self, **info: Any) -> None:
        """End both streams and write the last fields of run.json; `ended` is now unless given."""
        for stream in (self._pulses, self._scans, self._losses):
            if stream is not None:
                stream.close(mark_end=self._is_mine())
        self.update(**{"ended": utc_now(), **info})

    def _is_mine(self) -> bool:
        """False in a forked child, which shares the open files but must leave the run to its parent."""
        return os.getpid() == self._pid


class _StreamFile:
    """An append-only Arrow IPC stream on disk, one `write` per batch."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self.names = tuple(column.name for column in columns)
        self._encoder = BatchEncoder(columns, {"livegrad": livegrad.__version__})
        self._path = str(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o644)
        self._size = 0
        self._write(self._encoder.schema_message())

    def append(self, values: Mapping[str, Any], rows: int, entries: int) -> None:
        self._write(self._encoder.batch_message(values, rows, entries))

    def _write(self, message: bytes) -> None:
        """Write all of `message`, or none: after a failure the file is cut back to its last whole message."""
        if self._descriptor < 0:
            raise OSError(errno.EBADF, "the run is closed", self._path)
        try:
            written = os.write(self._descriptor, message)
            while written < len(message):
                written += os.write(self._descriptor, memoryview(message)[written:])
        except BaseException:
            self._cut_back()
            raise
        self._size += len(message)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            # Nothing may follow a torn message: a reader would never find the next one.
            self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    def close(self, mark_end: bool) -> None:
        if self._descriptor < 0:
            return
        if mark_end:
            # A stream without its end mark is whole all the same, so a full disk does not matter here.
            with suppress(OSError):
                self._write(END_OF_STREAM)
        if self._descriptor >= 0:
            self._release()
