"""Opens a run folder, finished or still being written."""

import difflib
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from livegrad.errors import UsageError
from livegrad.run.columns import LOSS_COLUMNS, SCAN_COLUMNS
from livegrad.run.extremes import Extremes, RunningExtremes
from livegrad.run.folder import loss_file, pulse_file, scan_file
from livegrad.run.glance import is_live
from livegrad.run.info_file import InfoFile, ranks_in
from livegrad.run.pulse_table import PulseTable
from livegrad.run.pulses import SOURCES, TENSOR_STATISTICS, Pulses, derive, read_pulses
from livegrad.run.scans import Scan, read_scan
from livegrad.run.schema import Layer, RunInfo, Subject, Tensor
from livegrad.run.stream import Stream
from livegrad.run.thinning import thinned_rows

if TYPE_CHECKING:
    from livegrad.diagnose.report import Report


def load(path: Path | str, rank: int = 0) -> "Run":
    """Open the run folder at `path` (or a file in it).

    Raises RunError where there is no run, its run.json cannot be read, or a newer livegrad wrote it.
    """
    return Run(Path(path), rank)


class Run:
    """One rank of a recorded run.

    `info` is run.json; the arrays come from the streams, as far as they are whole. A run that is still
    being written can be followed with `refresh`.
    """

    def __init__(self, path: Path, rank: int = 0) -> None:
        self.rank = rank
        self._info_file = InfoFile(Path(path).expanduser(), rank)
        self.path = self._info_file.folder
        self._open()

    def _open(self) -> None:
        self.info: RunInfo = self._info_file.read()
        self._table = PulseTable(self.path / pulse_file(self.rank))
        self._scan_stream = Stream(self.path / scan_file(self.rank), SCAN_COLUMNS)
        self._scans: list[Scan] = []
        self._loss_stream = Stream(self.path / loss_file(self.rank), LOSS_COLUMNS)
        self._losses: list[np.ndarray] = []
        self._running: dict[tuple[int | None, int], RunningExtremes] = {}
        self._extend()

    def __repr__(self) -> str:
        return f"<Run {self.info.id!r} {self.status}, {len(self)} recorded steps, {len(self._scans)} scans>"

    def __len__(self) -> int:
        """Recorded steps."""
        return len(self._table)

    @property
    def last_step(self) -> int | None:
        """The highest recorded step; None before the first."""
        return int(self._table.scalars["step"].max()) if len(self) else None

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
        return is_live(self.info, self._info_file, self._table.stream.path)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that wrote into this folder, ascending."""
        return ranks_in(self.path)

    @property
    def overhead(self) -> float:
        """livegrad's own share of the wall time since the first step (0.01 = 1 %); NaN before it."""
        return self.info.overhead_seconds / self.info.seconds if self.info.seconds > 0 else float("nan")

    @property
    def overhead_after_opening(self) -> float | None:
        """The same from the 101st step on; None where there are no such steps."""
        info = self.info
        if info.opening_seconds is None or info.opening_overhead_seconds is None:
            return None
        seconds = info.seconds - info.opening_seconds
        return (info.overhead_seconds - info.opening_overhead_seconds) / seconds if seconds > 0 else None

    @property
    def damage(self) -> str | None:
        """What keeps part of the streams from being read, in words; None where nothing does.

        An unfinished last record is damage only when nobody is writing any more.
        """
        streams = (self._table.stream, self._scan_stream, self._loss_stream)
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

        Costs a look at run.json's date and a short read of each stream. Raises RunError where the folder is
        gone.
        """
        changed = self._info_file.changed()
        if changed:
            info = self._info_file.read()
            if (info.id, info.created) != (self.info.id, self.info.created):
                self._open()
                return True
            self.info = info
        return self._extend() or changed

    def _extend(self) -> bool:
        scans = [scan for scan in map(read_scan, self._scan_stream.extend()) if scan is not None]
        self._scans.extend(scans)
        losses = [message.flat() for message in self._loss_stream.extend() if message.layout.rows]
        self._losses.extend(losses)
        return bool(self._table.extend()) or bool(scans) or bool(losses)

    def pulses(self, subject: int | None = None, limit: int | None = 2000) -> Pulses:
        """Recorded steps of one subject (None: all), thinned to `limit` (None: all) by `thinning.thin`.

        Rows of several optimizers stay interleaved as they were written: `Pulses.optimizer` tells them apart.
        """
        rows = thinned_rows(self._table, self._rows(subject), limit)
        return read_pulses(self._table, rows, {tensor.id: tensor.count for tensor in self.tensors})

    def extremes(
        self, subject: int | None = None, limit: int = 400, seconds: float | None = None
    ) -> Extremes:
        """The smallest and largest gradient norm of each tensor, and turnover, over at most `limit` stretches
        of steps: over every recorded step. What was read is kept; seconds: read on for about so long.
        """
        rows = self._rows(subject)
        running = self._running.setdefault((subject, limit), RunningExtremes(limit))
        running.extend(self._table, rows, seconds)
        return running.result(len(rows))

    def fork(self) -> "Run":
        """A run that knows what this one knows, and reads on by itself: for another thread."""
        twin = copy(self)
        twin._info_file = copy(self._info_file)
        twin._table, twin._scan_stream = self._table.fork(), self._scan_stream.fork()
        twin._loss_stream, twin._running = self._loss_stream.fork(), {}
        twin._scans, twin._losses = list(self._scans), list(self._losses)
        return twin

    def _rows(self, subject: int | None) -> np.ndarray:
        if subject is None:
            return np.arange(len(self._table))
        return np.flatnonzero(self._table.scalars["subject"] == subject)

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

    def losses(self, subject: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Steps (S,) and losses (S,) of every step whose loss was known, recorded or not, in their order.

        Of very long runs every second, fourth, … step. Of several models each has its own, so that a step
        comes as often. Empty where losses live on a device, or there are several optimizers; `scalars` has
        those of recorded steps always.
        """
        parts = {name: [part[name] for part in self._losses] for name in ("step", "subject", "loss")}
        if not self._losses:
            return np.empty(0, np.int64), np.empty(0)
        step, owner, loss = (np.concatenate(parts[name]) for name in ("step", "subject", "loss"))
        mine = np.ones(len(step), bool) if subject is None else owner == subject
        return step[mine].astype(np.int64), loss[mine].astype(float)

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
        rows = self._rows(found.subject)
        places = self._table.places(found.id)[rows]
        rows, places = rows[places >= 0], places[places >= 0]
        if not len(rows):
            return np.empty(0, np.int64), np.empty(0)
        stored = {name: self._table.entries(rows, places, name) for name in SOURCES[statistic]}
        return self._table.scalars["step"][rows], derive(statistic, stored, found.count or float("nan"))

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
