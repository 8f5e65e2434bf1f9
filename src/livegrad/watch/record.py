"""The run being written: rows that wait for a device, the fields of run.json, and how often that file is
renewed.
"""

import time
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from livegrad.errors import UsageError
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.writer import RunWriter
from livegrad.watch.launch import Launch
from livegrad.watch.loss_history import LossHistory
from livegrad.watch.pulse import Pulse

MOST_WAITING = 256
MOST_NOTES = 200
RENEWAL = 5.0
RENEWAL_SHARE = 0.002


class Writer(Protocol):
    """What a record writes to."""

    path: Path

    def update(self, **info: Any) -> None: ...
    def pulse(self, row: PulseRow) -> None: ...
    def scan(self, row: ScanRow) -> None: ...
    def losses(self, step: np.ndarray, subject: np.ndarray, loss: np.ndarray) -> None: ...
    def close(self, **info: Any) -> None: ...


def open_run(path: Path | None, name: str, info: dict[str, Any]) -> RunWriter:
    """A writer for a new run in `path`, or in a new folder named after `name` under ./livegrad-runs.

    The ranks of one launch share a folder. Raises UsageError on a rank that cannot know which.
    """
    if path is None:
        folder = Launch.of_this_process().make_run_folder(None, name)
        if folder is None:
            raise UsageError(
                "this rank cannot know the run folder of the first. Give all ranks the same folder: path=…"
            )
        path = folder.path
    path.mkdir(parents=True, exist_ok=True)
    return RunWriter(path, info, rank=info.get("rank", 0))


class Record:
    """Writes pulses in order as their numbers arrive, and run.json when something new is known or time has
    passed.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.notes: list[dict[str, Any]] = []
        self.write_cost = 0.0
        self.scan_count = 0
        self.waiting: deque[Pulse] = deque()
        self._losses = LossHistory()
        self.renewal_at = 0.0
        self._fresh_notes = False

    def add(self, pulse: Pulse) -> None:
        """Queue a pulse whose step is over."""
        self.waiting.append(pulse)

    def write_ready(self, wait: bool = False) -> list[PulseRow]:
        """Write what has arrived, and all of it with `wait`; return the rows written."""
        written: list[PulseRow] = []
        while self.waiting and (wait or self.waiting[0].ready() or len(self.waiting) > MOST_WAITING):
            started = time.perf_counter()
            pulse = self.waiting.popleft()
            pulse.cost += self.write_cost
            for row in pulse.rows():
                self.writer.pulse(row)
                written.append(row)
            self.write_cost = time.perf_counter() - started
        return written

    def add_loss(self, step: int, subject: int, loss: float) -> None:
        """Keep the loss of a step, recorded or not."""
        if self._losses.add(step, subject, loss):
            self.write_losses()

    def write_losses(self) -> None:
        """Write the losses that wait."""
        self._losses.flush(self.writer.losses)

    def add_scan(self, row: ScanRow) -> None:
        """Write a scan at once."""
        self.writer.scan(row)
        self.scan_count += 1

    def note(self, step: int | None, kind: str, text: str) -> None:
        """Add a line to run.json's notes; repeats are dropped, and so is what comes after the 200th."""
        if len(self.notes) < MOST_NOTES and not any(n["text"] == text for n in self.notes):
            self.notes.append({"step": step, "kind": kind, "text": text})
            self._fresh_notes = True

    def renew(self, **fields: Any) -> None:
        """Rewrite run.json with these fields and any new notes; `renewal_at` is when to do it next."""
        started = time.perf_counter()
        self.write_losses()
        if self._fresh_notes:
            fields["notes"] = list(self.notes)
            self._fresh_notes = False
        self.writer.update(**fields)
        now = time.perf_counter()
        self.renewal_at = now + max(RENEWAL, (now - started) / RENEWAL_SHARE)
