"""A fixed strided sample of the entries of many tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from livegrad.probe import kernel
from livegrad.probe.dense import local_shard
from livegrad.probe.statistics_device import is_capturing

LIMIT = 512


@dataclass(frozen=True)
class Places:
    """Which entries are sampled: of tensor i, in logical order, entries 0, steps[i], 2 steps[i], …

    counts, steps  int64 (n,): entries of each tensor, and the step between sampled ones
    offsets        int64 (n + 1,): tensor i's sample is at offsets[i]:offsets[i + 1] of a sample vector
    """

    counts: np.ndarray
    steps: np.ndarray
    offsets: np.ndarray

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Add the values (offsets[-1],) of each tensor's sample: (n,), 0 for a tensor without entries."""
        starts, filled = self.offsets[:-1], np.diff(self.offsets) > 0
        sums = np.zeros(len(starts))
        if filled.any():
            sums[filled] = np.add.reduceat(values, starts[filled], dtype=np.float64)
        return sums


def choose_places(tensors: Sequence[Tensor], limit: int = LIMIT) -> Places:
    """Spread at most `limit` places over each tensor, all of them when it is no larger.

    The step has no factor in common with the last dimension, so that the sample visits every column of a
    matrix and does not stay in one.
    """
    shards = [local_shard(tensor) for tensor in tensors]
    counts = np.array([0 if is_lazy(shard) else shard.numel() for shard in shards], dtype=np.int64)
    steps = np.ones(len(shards), dtype=np.int64)
    for i, shard in enumerate(shards):
        if counts[i] > limit:
            step = -(-int(counts[i]) // limit)
            while gcd(step, shard.shape[-1]) > 1:
                step += 1
            steps[i] = step
    sizes = -(-counts // steps)
    return Places(counts, steps, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


class Samples:
    """Sampled values, possibly still on their way from a device."""

    def __init__(self, values: np.ndarray, transfers: list["_Transfer"]):
        self._values = values
        self._transfers = transfers

    def ready(self) -> bool:
        """Whether everything has arrived."""
        return all(event is None or event.query() for _, _, event in self._transfers)

    def numpy(self) -> np.ndarray:
        """Wait if need be, and return float64 (offsets[-1],)."""
        for ranges, host, event in self._transfers:
            if event is not None:
                event.synchronize()
            arrived, start = host.double().numpy(), 0
            for low, high in ranges:
                self._values[low:high] = arrived[start : start + high - low]
                start += high - low
        self._transfers = []
        return self._values


_Transfer = tuple[list[tuple[int, int]], Tensor, torch.cuda.Event | None]


def take_samples(tensors: Sequence[Tensor | None], places: Places) -> Samples:
    """Read the tensors at their places; zeros for None, NaN for a tensor that cannot be read there.

    Host memory is read at once; other devices send their values behind the work already queued, and nothing
    waits.
    """
    tensors = list(tensors)
    values = np.empty(int(places.offsets[-1]))
    left = kernel.sample(tensors, places.steps, places.offsets, values)
    groups: dict[tuple[torch.device, torch.dtype], tuple[list[tuple[int, int]], list[Tensor]]] = {}
    with torch.no_grad():
        for position in left:
            low, high = int(places.offsets[position]), int(places.offsets[position + 1])
            tensor = tensors[position]
            if tensor is None:
                values[low:high] = 0
                continue
            entries = _entries(tensor, int(places.steps[position]), high - low)
            if entries is None:
                values[low:high] = np.nan
                continue
            ranges, parts = groups.setdefault((entries.device, entries.dtype), ([], []))
            ranges.append((low, high))
            parts.append(entries)
        transfers = [(ranges, *_send(torch.cat(parts))) for ranges, parts in groups.values()]
    return Samples(values, transfers)


def _entries(tensor: Tensor, step: int, number: int) -> Tensor | None:
    tensor = local_shard(tensor)
    if tensor.is_meta or is_lazy(tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
        return None
    if is_capturing(tensor.device):
        return None
    if number == 0 or not (number - 1) * step < tensor.numel():
        return None
    if tensor.is_contiguous():
        entries = tensor.detach().view(-1)[::step][:number]
    else:
        entries = tensor.detach().take(torch.arange(number, device=tensor.device) * step)
    return entries.abs() if entries.is_complex() else entries


def _send(values: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    if not values.is_cuda:
        return values.cpu(), None
    host = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    host.copy_(values, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(values.device))
    return host, event
