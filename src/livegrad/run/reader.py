"""Opens a run folder, finished or still being written."""

import difflib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from livegrad.errors import RunError, UsageError
from livegrad.run.columns import SCHEMA_VERSION
from livegrad.run.folder import RUN_FILE, find_runs, pulse_file, rank_file, scan_file
from livegrad.run.pulse_table import PulseTable
from livegrad.run.pulses import SOURCES, TENSOR_STATISTICS, Pulses, derive, read_pulses
from livegrad.run.scans import Scan, read_scan
from livegrad.run.schema import Layer, RunInfo, Subject, Tensor
from livegrad.run.stream import Stream, newer_version_error
from livegrad.run.thinning import thin

if TYPE_CHECKING:
    from livegrad.diagnose.report import Report

_QUIET_SECONDS = 120.0
_RANK = re.compile(r"^rank(\d+)\.arrows$")


def load(path: Path | str, rank: int = 0) -> "Run":
    """Open the run folder at `path` (or a file in it).

    Raises RunError where there is no run, its run.json cannot be read, or a newer livegrad wrote it.
    """
    return Run(Path(path), rank)


class Run:
    """One rank of a recorded run.

    `info` is run.json; the arrays come from the two streams, as far as they are whole. A run that is still
    being written can be followed with `refresh`.
    """

    def __init__(self, path: Path, rank: int = 0) -> None:
        self.path = _folder_of(Path(path).expanduser())
        self.rank = rank
        self._open()

    def _open(self) -> None:
        self._info_file = self._find_info()
        self._stamp = _stamp(self._info_file)
        self.info: RunInfo = _read_info(self._info_file)
        self._table = PulseTable(self.path / pulse_file(self.rank))
        self._scan_stream = Stream(self.path / scan_file(self.rank))
        self._scans: list[Scan] = []
        self._sampled = np.empty(0, bool)
        self._extend()

    def _find_info(self) -> Path:
        if self.rank and self.rank not in self.ranks:
            raise RunError(f"{str(self.path)!r} has no rank {self.rank}; it has {self.ranks}. Pass rank=….")
        own = self.path / rank_file(self.rank)
        return own if own.exists() else self.path / RUN_FILE

    def __repr__(self) -> str:
        return f"<Run {self.info.id!r} {self.status}, {len(self)} recorded steps, {len(self._scans)} scans>"

    def __len__(self) -> int:
        """Recorded steps."""
        return len(self._table)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return self.info.subjects

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.info.tensors

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.info.layers

    @property
    def status(self) -> str:
        """running, finished, failed or detached. A killed run still says running, but is not `is_live`."""
        return self.info.status

    @property
    def is_live(self) -> bool:
        """Whether the run is still being written.

        On the machine it runs on: whether its process is alive. Elsewhere: whether it wrote in the last two
        minutes.
        """
        if self.status != "running":
            return False
        if self.info.pid and self.info.host == socket.gethostname() and os.name == "posix":
            return _is_alive(self.info.pid)
        return (
            time.time() - max(_changed(self._info_file), _changed(self._table.stream.path)) < _QUIET_SECONDS
        )

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that wrote into this folder, ascending."""
        found = (_RANK.match(item.name) for item in self.path.iterdir())
        return tuple(sorted(int(match.group(1)) for match in found if match))

    @property
    def overhead(self) -> float:
        """livegrad's own share of the wall time since the first step (0.01 = 1 %); NaN before it."""
        return self.info.overhead_seconds / self.info.seconds if self.info.seconds > 0 else float("nan")

    @property
    def damage(self) -> str | None:
        """What keeps part of the streams from being read, in words; None where nothing does.

        An unfinished last record is damage only when nobody is writing any more.
        """
        streams = (self._table.stream, self._scan_stream)
        found = [stream.damage for stream in streams if stream.damage]
        if not found and not self.is_live:
            found = [
                f"{s.path.name}: the last {s.unread} bytes are an unfinished record"
                for s in streams
                if s.unread
            ]
        return "; ".join(found) or None

    def refresh(self) -> bool:
        """Read what was written since; True where there was anything.

        Costs two calls to stat where nothing changed. Raises RunError where the folder is gone.
        """
        stamp = _stamp(self._info_file)
        changed = stamp != self._stamp
        if changed:
            info = _read_info(self._info_file)
            if (info.id, info.created) != (self.info.id, self.info.created):
                self._open()
                return True
            self.info, self._stamp = info, stamp
        return self._extend() or changed

    def _extend(self) -> bool:
        scans = [scan for scan in map(read_scan, self._scan_stream.extend()) if scan is not None]
        self._scans.extend(scans)
        return bool(self._table.extend()) or bool(scans)

    def pulses(self, subject: int | None = None, limit: int | None = 2000) -> Pulses:
        """Recorded steps of one subject (None: all), thinned by `thinning.thin` to `limit` rows (None: all).

        Rows of several optimizers stay interleaved as they were written: `Pulses.optimizer` tells them apart.
        """
        rows = self._rows(subject)
        if limit is None or len(rows) > limit:
            rows = rows[self._thinned(rows, limit)]
        return read_pulses(self._table, rows, {tensor.id: tensor.count for tensor in self.tensors})

    def _rows(self, subject: int | None) -> np.ndarray:
        if subject is None:
            return np.arange(len(self._table))
        return np.flatnonzero(self._table.scalars["subject"] == subject)

    def _thinned(self, rows: np.ndarray, limit: int | None) -> np.ndarray:
        scalars = self._table.scalars
        norm = np.sqrt(scalars["gradient_sum_squares"][rows])
        loss_broken = scalars["loss_known"][rows] & ~np.isfinite(scalars["loss"][rows])
        alarming = (scalars["nonfinite"][rows] > 0) | ~np.isfinite(norm) | loss_broken
        return thin(norm, alarming, self._updates_sampled()[rows], limit)

    def _updates_sampled(self) -> np.ndarray:
        """Which rows (S,) hold the size of at least one applied update."""
        known = len(self._sampled)
        if known < len(self._table):
            with self._table.open() as data:
                new = [
                    bool(np.isfinite(self._table.values(data, row, "update_sum_squares")).any())
                    for row in range(known, len(self._table))
                ]
            self._sampled = np.concatenate([self._sampled, np.array(new, bool)])
        return self._sampled

    def scalars(self, subject: int | None = None) -> dict[str, np.ndarray]:
        """Every recorded step's per-row numbers, each of shape (S,).

        The columns of the stream without its lists, `loss_known`, and `gradient_norm` (unscaled, unclipped)
        in place of its square.
        """
        rows = self._rows(subject)
        table = {name: values[rows] for name, values in self._table.scalars.items()}
        with np.errstate(invalid="ignore"):
            table["gradient_norm"] = np.sqrt(table.pop("gradient_sum_squares"))
        return table

    def series(
        self, tensor: str | int, statistic: str, subject: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Steps (S,) and values (S,) of one statistic of one tensor, at every recorded step that holds it.

        `tensor` is its name or id, `statistic` one of TENSOR_STATISTICS; units are those of Pulses. Raises
        UsageError for a name that is unknown, or that several subjects have while `subject` is None.
        """
        if statistic not in SOURCES:
            raise UsageError(f"unknown statistic {statistic!r}; choose from {', '.join(TENSOR_STATISTICS)}")
        found = self.tensor(tensor, subject)
        rows, values = [], []
        with self._table.open() as data:
            for row, place in self._places(data, found):
                rows.append(row)
                values.append([self._table.entry(data, row, name, place) for name in SOURCES[statistic]])
        table = np.array(values, np.float64).reshape(len(rows), len(SOURCES[statistic]))
        stored = dict(zip(SOURCES[statistic], table.T, strict=True))
        return self._table.scalars["step"][rows], derive(statistic, stored, found.count or float("nan"))

    def _places(self, data: Any, tensor: Tensor) -> Iterator[tuple[int, int]]:
        """(row, place in its lists) of every row that holds `tensor`."""
        places: dict[bytes, int] = {}
        for row in self._rows(tensor.subject).tolist():
            ids = self._table.values(data, row, "tensor")
            key = ids.tobytes()
            if key not in places:
                match = np.flatnonzero(ids == tensor.id)
                places[key] = int(match[0]) if len(match) else -1
            if places[key] >= 0:
                yield row, places[key]

    def tensor(self, tensor: str | int, subject: int | None = None) -> Tensor:
        """The tensor with this name or id. Raises UsageError where there is none, or more than one."""
        of_subject = [item for item in self.tensors if subject is None or item.subject == subject]
        found = [item for item in of_subject if tensor in (item.name, item.id)]
        if not found:
            near = difflib.get_close_matches(str(tensor), [item.name for item in of_subject], 3)
            hint = f"did you mean {', '.join(map(repr, near))}?" if near else "Run.tensors lists them."
            raise UsageError(f"no tensor {tensor!r} in {str(self.path)!r}: {hint}")
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} tensors are named {tensor!r}: say which with subject=…, "
                f"or pass an id, one of {[item.id for item in found]}"
            )
        return found[0]

    def scans(self, subject: int | None = None) -> list[Scan]:
        """The scans of one subject (None: all), in the order they were made."""
        return [scan for scan in self._scans if subject is None or scan.subject == subject]

    def report(self) -> "Report":
        """What livegrad concludes from this run."""
        from livegrad.diagnose.diagnose import diagnose

        return diagnose(self)


def _folder_of(path: Path) -> Path:
    """The run folder that `path` means. Raises RunError where it is none."""
    folder = path.parent if path.is_file() else path
    if (folder / RUN_FILE).exists():
        return folder
    if not path.exists():
        raise RunError(
            f"no such run: {str(path)!r}. "
            "livegrad writes runs to ./livegrad-runs: look there, or pass a path."
        )
    if path.is_file():
        raise RunError(f"{str(path)!r} is not a run: pass the folder that holds {RUN_FILE}.")
    runs = find_runs(folder)
    if runs:
        raise RunError(f"{str(path)!r} is not a run but holds {len(runs)}. The newest: {str(runs[-1])!r}.")
    raise RunError(
        f"{str(path)!r} is not a run: it holds no {RUN_FILE}. "
        "If the run has only just been started, try again; else pass the folder that livegrad run named."
    )


def _read_info(path: Path) -> RunInfo:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise RunError(
            f"cannot read {str(path)!r}: {error.strerror}. Check that it is there and readable."
        ) from error
    except ValueError as error:
        raise RunError(
            f"{str(path)!r} is not whole JSON ({error}). "
            "If the folder is being copied, wait and try again; else copy it again from its source."
        ) from error
    if not isinstance(document, dict):
        raise RunError(
            f"{str(path)!r} holds no JSON object: it is not livegrad's. Pass the folder livegrad run named."
        )
    version = document.get("schema")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise newer_version_error(path, version)
    return RunInfo.from_json(document)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes when the file does."""
    try:
        found = path.stat()
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror}. Was the run folder moved?") from error
    return found.st_mtime_ns, found.st_size, found.st_ino


def _changed(path: Path) -> float:
    """Time of the last change, in seconds since the epoch; 0 where the file is not there."""
    return path.stat().st_mtime if path.exists() else 0.0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
