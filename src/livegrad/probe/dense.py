"""The entries of any tensor as one flat, contiguous, real or complex tensor."""

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def dense_entries(tensor: Tensor) -> tuple[Tensor | None, int]:
    """Return the stored entries, flat and contiguous, and how many more are zero because none is stored.

    Dense memory is not copied, in whatever order its dimensions lie (channels-last, transposed), since
    statistics do not depend on order; overlapping or gapped views are. None stands for a tensor without
    entries that can be read: meta, uninitialised, or of a kind that refuses.
    """
    try:
        tensor = local_shard(tensor)
        if tensor.is_meta or is_lazy(tensor):
            return None, 0
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout is not torch.strided or tensor.is_nested:
            values = _stored_values(tensor)
            return values.reshape(-1), max(0, tensor.numel() - values.numel())
        if tensor.is_contiguous():
            return tensor.view(-1), 0
        in_memory_order = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
        return in_memory_order.reshape(-1), 0
    except (RuntimeError, NotImplementedError, TypeError):
        # Tensors of some libraries refuse these calls; one of them must not blind us to the others.
        return None, 0


def local_shard(tensor: Tensor) -> Tensor:
    """Return this rank's part of a DTensor, without a collective; any other tensor as it is."""
    local = getattr(tensor, "_local_tensor", None)
    return tensor if local is None else local


def _stored_values(tensor: Tensor) -> Tensor:
    if tensor.layout is torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.is_nested or tensor.layout in _COMPRESSED:
        return tensor.values()
    return tensor.to_dense()
