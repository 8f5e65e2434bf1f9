"""The compiled kernel, where there is one: statistics and samples of tensors in host memory.

`reduce` and `sample` fill what the kernel can read and return the positions of the tensors that it cannot,
which is all of them when the package was installed without a C compiler.
"""

from array import array
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

TYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3}


def _load() -> Any:
    try:
        return import_module("livegrad.probe._kernel")
    except ImportError:  # installed without a C compiler
        return None


def _reads_tensors() -> bool:
    """Whether this torch has the exchange table through which C reads a tensor (torch 2.10 and later)."""
    table = getattr(Tensor, "__dlpack_c_exchange_api__", None)
    if _kernel is None or table is None:
        return False
    try:
        return _kernel.bind(table, Tensor, Parameter)
    except (TypeError, ValueError):  # not the capsule that the standard describes
        return False


_kernel = _load()
READS_TENSORS = _reads_tensors()


def reduce(tensors: list[Tensor | None], columns: np.ndarray) -> list[int]:
    """Fill float64 (4, n): sum of squares, largest finite |x|, zeros, non-finite entries (-1 for None)."""
    if READS_TENSORS:
        return _kernel.reduce(tensors, columns)
    present: list[tuple[int, Tensor]] = []
    for position, tensor in enumerate(tensors):
        if tensor is None:
            columns[3, position] = -1
        else:
            present.append((position, tensor))
    if _kernel is None:
        return [position for position, _ in present]
    return _reduce_by_address(present, columns)


def _reduce_by_address(tensors: list[tuple[int, Tensor]], columns: np.ndarray) -> list[int]:
    left, read = [], []
    addresses, counts, types = array("Q"), array("q"), array("b")
    for position, tensor in tensors:
        if _is_plain(tensor):
            read.append(position)
            addresses.append(tensor.data_ptr())
            counts.append(tensor.numel())
            types.append(TYPES[tensor.dtype])
        else:
            left.append(position)
    filled = np.zeros((4, len(read)))
    _kernel.reduce_memory(addresses, counts, types, filled)
    columns[:, read] = filled
    return left


def _is_plain(tensor: Tensor) -> bool:
    if type(tensor) not in (Tensor, Parameter) or not tensor.is_cpu or tensor.dtype not in TYPES:
        return False
    return tensor.layout is torch.strided and not tensor.is_nested and tensor.is_contiguous()


def sample(
    tensors: list[Tensor | None], steps: np.ndarray, offsets: np.ndarray, out: np.ndarray
) -> list[int]:
    """Write every steps[i]-th entry of tensor i to out[offsets[i]:offsets[i + 1]]; zeros for None.

    steps int64 (n,), offsets int64 (n + 1,), out float64 (offsets[n],).
    """
    if READS_TENSORS:
        return _kernel.sample(tensors, steps, offsets, out)
    return list(range(len(tensors)))
