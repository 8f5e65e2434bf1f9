"""The smallest and the largest gradient of each tensor over stretches of steps, all recorded steps among
them.
"""

from dataclasses import dataclass

import numpy as np

from livegrad.run.pulse_table import PulseTable


@dataclass(frozen=True)
class Extremes:
    """Arrays over B stretches and T tensors.

    tensor: (T,) ids, ascending. low, high: (B, T), of the gradient's norm where it is finite; NaN where it
    never was. broken: (B, T), where a NaN or an infinity was met.
    """

    tensor: np.ndarray
    low: np.ndarray
    high: np.ndarray
    broken: np.ndarray


def gradient_extremes(table: PulseTable, rows: np.ndarray, steps: np.ndarray) -> Extremes:
    """Return the extremes over the stretches that begin at each of `steps` (B,), ascending.

    rows: of the table. Of each row three lists are read, none of them twice.
    """
    ids = np.unique(np.concatenate([*table.id_lists(rows), np.empty(0, np.int32)])).astype(np.int64)
    low = np.full((len(steps), len(ids)), np.nan)
    high, broken = low.copy(), np.zeros(low.shape, bool)
    stretch = np.clip(np.searchsorted(steps, table.scalars["step"][rows], side="right") - 1, 0, None)
    places: dict[bytes, np.ndarray] = {}
    columns = (table.lists(rows, name) for name in _READ)
    for at, own, squares, nonfinite in zip(stretch.tolist(), *columns, strict=True):
        place = places.get(key := own.tobytes())
        if place is None:
            place = places[key] = np.searchsorted(ids, own)
        value = np.where((nonfinite == 0) & np.isfinite(squares), squares, np.nan)
        low[at, place] = np.fmin(low[at, place], value)
        high[at, place] = np.fmax(high[at, place], value)
        broken[at, place] |= (nonfinite > 0) | ((nonfinite >= 0) & ~np.isfinite(squares))
    return Extremes(ids, np.sqrt(low), np.sqrt(high), broken)


_READ = ("tensor", "gradient_sum_squares_by_tensor", "gradient_nonfinite")
