"""The statistics of CPU tensors that the kernel cannot read as they are."""

import numpy as np
import torch
from torch import Tensor

from livegrad.probe import kernel

# Float32 sums drift by 1e-4 over millions of entries; over this many they keep 1e-5. Pieces add in float64.
PIECE = 16384
# A float32 sum of squares loses entries below 1e-19; a norm above this cannot have lost any that matter.
SMALLEST_NORM = 1e-13


def reduce(tensors: list[Tensor]) -> np.ndarray:
    """Return float64 (4, n): sum of squares, largest finite |x|, zeros, non-finite entries."""
    columns = np.zeros((4, len(tensors)))
    left = kernel.reduce([*tensors], columns)
    if left:
        columns[:, left] = reduce_by_torch([tensors[position] for position in left])
    return columns


def reduce_by_torch(tensors: list[Tensor]) -> np.ndarray:
    """The same without the kernel: batched 2-norms; minimum, maximum and a count for each piece."""
    columns = np.zeros((4, len(tensors)))
    owners: list[int] = []
    pieces: list[Tensor] = []
    for owner, tensor in enumerate(tensors):
        for piece in tensor.split(PIECE):
            if piece.numel():
                owners.append(owner)
                pieces.append(_in_wide_real(piece))
    if not pieces:
        return columns
    norms = torch.stack([norm.double() for norm in torch._foreach_norm(pieces, 2)]).numpy()
    bounds = torch.stack([bound.double() for piece in pieces for bound in torch.aminmax(piece)])
    largest = bounds.abs().view(-1, 2).amax(1).numpy()
    squares = norms * norms
    nonfinite = np.zeros(len(pieces))
    trusted = np.isfinite(squares) & ((norms > SMALLEST_NORM) | (largest == 0))
    for i in np.flatnonzero(~trusted):
        squares[i], largest[i], nonfinite[i] = _reduce_in_float64(pieces[i])
    owner = np.array(owners)
    np.add.at(columns[0], owner, squares)
    np.maximum.at(columns[1], owner, largest)
    np.add.at(columns[2], owner, [piece.numel() - int(torch.count_nonzero(piece)) for piece in pieces])
    np.add.at(columns[3], owner, nonfinite)
    return columns


def _reduce_in_float64(piece: Tensor) -> tuple[float, float, int]:
    wide = piece.double()
    finite = wide.isfinite()
    largest = float(wide.where(finite, 0).abs().max())
    return float(wide.dot(wide)), largest, wide.numel() - int(finite.sum())


def _in_wide_real(piece: Tensor) -> Tensor:
    if piece.dtype in (torch.float32, torch.float64):
        return piece
    if piece.is_complex():
        return piece.to(torch.complex128).abs()
    return piece.float() if piece.is_floating_point() else piece.double()
