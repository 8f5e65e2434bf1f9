"""Sufficient statistics of many tensors in one call: sum of squares, largest entry, zeros, non-finite entries.

They merge over shards (sums add, maxima maximise); norms and shares are derived when they are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livegrad.probe import statistics_cpu, statistics_device
from livegrad.probe.dense import dense_entries

NONE = -1
"""`nonfinite` of a tensor that is None (a parameter without a gradient) or has no entries to read (a meta tensor)."""


@dataclass(frozen=True)
class Stats:
    """The statistics of n tensors, in the order they were given.

    sum_squares  float64 (n,)  Σ|x|² over every entry: inf or NaN where an entry is; 0 for None, NaN for a tensor without storage
    max_abs      float32 (n,)  max |x| over the finite entries
    zeros        int64   (n,)  entries that are exactly 0
    nonfinite    int64   (n,)  entries that are inf or NaN; -1 for None and for a tensor without storage
    """

    sum_squares: np.ndarray
    max_abs: np.ndarray
    zeros: np.ndarray
    nonfinite: np.ndarray

    def ready(self) -> bool:
        return True

    def numpy(self) -> "Stats":
        return self


class PendingStats:
    """Statistics still on their way from a device; `numpy()` waits for them, `ready()` says whether it would."""

    def __init__(self, stats: Stats, parts: list[tuple[np.ndarray, "statistics_device.Transfer"]]):
        self._stats = stats
        self._parts = parts

    def ready(self) -> bool:
        return all(transfer.ready() for _, transfer in self._parts)

    def numpy(self) -> Stats:
        for positions, transfer in self._parts:
            _place(self._stats, positions, transfer.numpy())
        self._parts = []
        return self._stats


def gather(tensors: Sequence[Tensor | None]) -> Stats | PendingStats:
    """Take the statistics of every tensor.

    On the CPU the answer is there at once. On other devices the reductions are queued on the current stream and their
    results copied to pinned host memory behind them: nothing waits, and `ready()` turns true when the copy has landed.

    Any dtype and layout: half precision, complex (|z|), integers, sparse (duplicates of a COO tensor sum first, entries not
    stored count as zeros), expanded and strided views. Of a DTensor the local shard is read. Nothing is written: gradients,
    version counters and random states stay as they are.
    """
    stats = _blank(len(tensors))
    by_device: dict[torch.device, tuple[list[int], list[Tensor]]] = {}
    with torch.no_grad():
        for position, tensor in enumerate(tensors):
            if tensor is None:
                stats.nonfinite[position] = NONE
                continue
            entries, absent = dense_entries(tensor)
            if entries is None:
                stats.nonfinite[position] = NONE
                stats.sum_squares[position] = np.nan
                continue
            stats.zeros[position] = absent
            positions, group = by_device.setdefault(entries.device, ([], []))
            positions.append(position)
            group.append(entries)
        parts = []
        for device, (positions, group) in by_device.items():
            if device.type == "cpu":
                _place(stats, np.array(positions), statistics_cpu.reduce(group))
            else:
                parts.append((np.array(positions), statistics_device.reduce(group)))
    return PendingStats(stats, parts) if parts else stats


def _blank(n: int) -> Stats:
    return Stats(np.zeros(n), np.zeros(n, np.float32), np.zeros(n, np.int64), np.zeros(n, np.int64))


def _place(stats: Stats, positions: np.ndarray, columns: np.ndarray) -> None:
    """Write the columns (4, m) of one device at their positions; zeros add to the entries that a sparse tensor left out."""
    stats.sum_squares[positions] = columns[0]
    stats.max_abs[positions] = np.minimum(
        columns[1], np.finfo(np.float32).max
    )  # a float64 entry may be larger than float32 holds
    stats.zeros[positions] += columns[2].astype(np.int64)
    stats.nonfinite[positions] = columns[3].astype(np.int64)
