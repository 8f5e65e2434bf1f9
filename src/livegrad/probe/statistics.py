"""Statistics of many tensors in one call: sum of squares, largest entry, zeros, non-finite entries.

They merge over shards (sums add, maxima maximise); norms and shares are derived when they are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livegrad.probe import kernel, statistics_cpu, statistics_device
from livegrad.probe.dense import dense_entries

NONE = -1
"""`nonfinite` of None (a parameter without a gradient) and of a tensor that cannot be read (meta)."""

LARGEST_FLOAT32 = np.finfo(np.float32).max


@dataclass(frozen=True)
class Stats:
    """The statistics of n tensors, in the order they were given.

    sum_squares  float64 (n,)  Σ|x|² over every entry, so inf or NaN where an entry is; 0 for None
    max_abs      float32 (n,)  max |x| over the finite entries
    zeros        int64   (n,)  entries that are exactly 0
    nonfinite    int64   (n,)  entries that are inf or NaN; -1 for None

    A tensor that cannot be read (meta, uninitialised, of a foreign kind) has NaN in sum_squares and -1 in
    nonfinite.
    """

    sum_squares: np.ndarray
    max_abs: np.ndarray
    zeros: np.ndarray
    nonfinite: np.ndarray

    def ready(self) -> bool:
        """Whether `numpy()` answers without waiting: always, here."""
        return True

    def numpy(self) -> "Stats":
        """Return the statistics: these."""
        return self


class PendingStats:
    """Statistics still on their way from a device."""

    def __init__(self, columns: np.ndarray, transfers: list[tuple[list[int], statistics_device.Transfer]]):
        self._columns = columns
        self._transfers = transfers

    def ready(self) -> bool:
        """Whether everything has arrived, so that `numpy()` answers without waiting."""
        return all(transfer.ready() for _, transfer in self._transfers)

    def numpy(self) -> Stats:
        """Return the statistics, after waiting for those that have not arrived."""
        for positions, transfer in self._transfers:
            self._columns[:, positions] += transfer.numpy()
        self._transfers = []
        return _stats(self._columns)


def gather(tensors: Sequence[Tensor | None]) -> Stats | PendingStats:
    """Take the statistics of every tensor.

    On the CPU the answer is there at once. On other devices the reductions are queued on the current stream
    and their results copied to pinned host memory behind them: nothing waits, and `ready()` turns true when
    the copy has landed.

    Any dtype and layout: half precision, complex (|z|), integers, sparse (duplicates of a COO tensor sum
    first, entries not stored count as zeros), expanded and strided views. Of a DTensor the local shard is
    read. Nothing is written: gradients, version counters and random states stay as they are.
    """
    tensors = list(tensors)
    columns = np.zeros((4, len(tensors)))
    left = kernel.reduce(tensors, columns)
    if not left:
        return _stats(columns)
    with torch.no_grad():
        transfers = _gather_rest(tensors, left, columns)
    return PendingStats(columns, transfers) if transfers else _stats(columns)


def _gather_rest(
    tensors: list[Tensor | None], positions: list[int], columns: np.ndarray
) -> list[tuple[list[int], statistics_device.Transfer]]:
    by_device: dict[torch.device, tuple[list[int], list[Tensor]]] = {}
    for position in positions:
        tensor = tensors[position]
        assert tensor is not None
        entries, absent = dense_entries(tensor)
        if entries is None:
            columns[0, position], columns[3, position] = np.nan, NONE
            continue
        columns[2, position] = absent
        there, group = by_device.setdefault(entries.device, ([], []))
        there.append(position)
        group.append(entries)
    transfers = []
    for device, (there, group) in by_device.items():
        if device.type == "cpu":
            columns[:, there] += statistics_cpu.reduce(group)
        elif statistics_device.is_capturing(device):
            columns[0, there], columns[3, there] = np.nan, NONE
        else:
            transfers.append((there, statistics_device.reduce(group)))
    return transfers


def _stats(columns: np.ndarray) -> Stats:
    # A float64 entry may be larger than a float32 can hold.
    largest = np.minimum(columns[1], LARGEST_FLOAT32).astype(np.float32)
    return Stats(columns[0], largest, columns[2].astype(np.int64), columns[3].astype(np.int64))
