"""The statistics of CPU tensors that the kernel cannot read as they are."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from livegrad.probe import kernel

# Entries widened to float64 at a time: 1 MiB, which caches hold, and enough to spread a call's cost.
BUCKET = 1 << 17


def reduce(tensors: list[Tensor]) -> np.ndarray:
    """Return float64 (4, n): sum of squares, largest finite |x|, zeros, non-finite entries."""
    columns = np.zeros((4, len(tensors)))
    left = kernel.reduce([*tensors], columns)
    if left:
        columns[:, left] = reduce_by_numpy([tensors[position] for position in left])
    return columns


def reduce_by_numpy(tensors: list[Tensor]) -> np.ndarray:
    """The same without the kernel: small tensors side by side in one float64 array, large ones in pieces."""
    columns = np.zeros((4, len(tensors)))
    for owners, pieces in _buckets(tensors):
        starts = np.cumsum([0] + [piece.numel() for piece in pieces[:-1]])
        for row, values in enumerate(_reduce_segments(torch.cat(pieces).double().numpy(), starts)):
            merge = np.maximum if row == 1 else np.add
            merge.at(columns[row], owners, values)
    return columns


def _buckets(tensors: list[Tensor]) -> Iterator[tuple[list[int], list[Tensor]]]:
    owners: list[int] = []
    pieces: list[Tensor] = []
    size = 0
    for owner, tensor in enumerate(tensors):
        for piece in tensor.split(BUCKET):
            if size + piece.numel() > BUCKET:
                yield owners, pieces
                owners, pieces, size = [], [], 0
            if piece.numel():
                owners.append(owner)
                pieces.append(_real(piece))
                size += piece.numel()
    if pieces:
        yield owners, pieces


def _real(piece: Tensor) -> Tensor:
    if piece.is_complex():
        return piece.to(torch.complex128).abs()
    # Floats of 8 bits do not concatenate with others.
    return piece.float() if piece.is_floating_point() and piece.dtype.itemsize == 1 else piece


def _reduce_segments(x: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, ...]:
    """The four statistics of x (m,) from each start to the next; overwrites x."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.add.reduceat(x * x, starts)
    zeros = np.add.reduceat(x == 0, starts, dtype=np.int64)
    nonfinite = np.zeros(len(starts))
    if not np.isfinite(squares).all():
        bad = ~np.isfinite(x)
        nonfinite = np.add.reduceat(bad, starts, dtype=np.int64)
        x[bad] = 0
    return squares, np.maximum.reduceat(np.abs(x, out=x), starts), zeros, nonfinite
