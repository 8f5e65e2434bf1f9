"""Scans as arrays: what one deep measurement says of each layer."""

from dataclasses import dataclass, field, fields

import numpy as np

from livegrad.run.columns import SCAN_COLUMNS
from livegrad.run.stream import Message


def _unknown() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True)
class Scan:
    """One scan of one subject; every array has shape (L,), in the order of `layer` (ids in run.json).

    Units are those of SCAN_COLUMNS: `transport` in decades, shares between 0 and 1, the rest in the model's
    own.
    """

    step: int
    subject: int
    layer: np.ndarray
    audibility: np.ndarray
    audibility_output: np.ndarray
    transport: np.ndarray
    gradient_rms: np.ndarray
    activation_rms: np.ndarray
    activation_slope: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    nonfinite: np.ndarray
    width: np.ndarray
    samples: np.ndarray
    null_sd: np.ndarray
    residual: np.ndarray
    passed: np.ndarray = field(default_factory=_unknown)
    activation_mean: np.ndarray = field(default_factory=_unknown)
    similarity: np.ndarray = field(default_factory=_unknown)
    effective_rank: np.ndarray = field(default_factory=_unknown)
    constant_loss: np.ndarray = field(default_factory=_unknown)
    task_loss: np.ndarray = field(default_factory=_unknown)
    token_similarity: np.ndarray = field(default_factory=_unknown)

    def __len__(self) -> int:
        return len(self.layer)


def read_scan(message: Message) -> Scan | None:
    """The scan in one record batch, or None where it has no layer."""
    rows = message.layout.rows
    if not rows:
        return None
    stored = message.flat()
    columns = {}
    for column in SCAN_COLUMNS:
        known = message.layout.holds(column.name)
        values = stored[column.name] if known else np.full(rows, column.missing)
        columns[column.name] = np.array(values, column.dtype.newbyteorder("="))
    step, subject = (int(columns.pop(name)[0]) for name in ("step", "subject"))
    return Scan(step=step, subject=subject, **{item.name: columns[item.name] for item in fields(Scan)[2:]})
