"""The statistics of tensors on an accelerator: batched reductions, results fetched without waiting."""

import numpy as np
import torch
from torch import Tensor

# Scratch memory, in entries: two buffers of this size exist while a bucket is counted.
SMALLEST_BUCKET, LARGEST_BUCKET = 1 << 22, 1 << 25


class Transfer:
    """Four statistics of n tensors on their way to the host."""

    def __init__(self, columns: Tensor | None, owners: list[int], n: int):
        self._owners = np.array(owners, dtype=np.int64)
        self._n = n
        self._event = None
        self._host = columns
        if columns is not None and columns.is_cuda:
            self._host = torch.empty(columns.shape, dtype=columns.dtype, device="cpu", pin_memory=True)
            self._host.copy_(columns, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(columns.device))

    def ready(self) -> bool:
        return self._event is None or self._event.query()

    def numpy(self) -> np.ndarray:
        """Wait, and return float64 (4, n): sum of squares, largest finite |x|, zeros, non-finite entries."""
        columns = np.zeros((4, self._n))
        if self._host is None:
            return columns
        if self._event is not None:
            self._event.synchronize()
        values = self._host.double().cpu().numpy()
        for row, merge in enumerate((np.add, np.maximum, np.add, np.add)):
            merge.at(columns[row], self._owners, values[row])
        return columns


def is_capturing(device: torch.device) -> bool:
    """Whether a CUDA graph is being recorded: what is launched now would be replayed for ever."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def reduce(tensors: list[Tensor]) -> Transfer:
    """Queue the reductions of flat contiguous tensors of one device on its current stream.

    Tensors of one dtype are concatenated into buckets of bounded size, so the launches grow with the number
    of entries, not with the number of tensors, and the scratch memory stays bounded.
    """
    total = sum(tensor.numel() for tensor in tensors)
    size = min(max(total // 64, SMALLEST_BUCKET), LARGEST_BUCKET)
    owners: list[int] = []
    columns: list[Tensor] = []
    for bucket in _buckets(tensors, size):
        owners += [owner for owner, _ in bucket]
        columns.append(_reduce_bucket([_real(piece) for _, piece in bucket]))
    return Transfer(torch.cat(columns, 1) if columns else None, owners, len(tensors))


def _buckets(tensors: list[Tensor], size: int) -> list[list[tuple[int, Tensor]]]:
    full: list[list[tuple[int, Tensor]]] = []
    open_buckets: dict[torch.dtype, tuple[list[tuple[int, Tensor]], int]] = {}
    for owner, tensor in enumerate(tensors):
        for piece in tensor.split(size):
            if not piece.numel():
                continue
            bucket, used = open_buckets.get(piece.dtype, ([], 0))
            if bucket and used + piece.numel() > size:
                full.append(bucket)
                bucket, used = [], 0
            bucket.append((owner, piece))
            open_buckets[piece.dtype] = (bucket, used + piece.numel())
    return full + [bucket for bucket, _ in open_buckets.values()]


def _reduce_bucket(pieces: list[Tensor]) -> Tensor:
    """Return (4, len(pieces)) on the device, in float64 where it has that: float32 squares of 1e-30 are 0."""
    wide = torch.float32 if pieces[0].device.type == "mps" else torch.float64
    lengths = [piece.numel() for piece in pieces]
    norms = torch.stack(torch._foreach_norm(pieces, 2, dtype=wide))
    entries = torch.cat(pieces)
    marks = (entries - entries).ne_(0)  # x − x is NaN exactly where x is not finite
    nonfinite = torch.stack(torch._foreach_norm(marks.split(lengths), 1, dtype=wide))
    torch.eq(entries, 0, out=marks)
    zeros = torch.stack(torch._foreach_norm(marks.split(lengths), 1, dtype=wide))
    entries.nan_to_num_(0, 0, 0)
    largest = torch.stack(torch._foreach_norm(entries.split(lengths), float("inf"), dtype=wide))
    return torch.stack([norms * norms, largest, zeros, nonfinite])


def _real(piece: Tensor) -> Tensor:
    if piece.is_complex():
        return piece.abs()
    if piece.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        return piece
    return piece.float()
