"""The entries of any tensor as one flat, contiguous, real or complex tensor."""

import torch
from torch import Tensor

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def dense_entries(tensor: Tensor) -> tuple[Tensor | None, int]:
    """Return the stored entries as a flat contiguous tensor, and how many further entries are zero because none is stored.

    Dense memory is not copied, in whatever order its dimensions lie (channels-last, transposed): the statistics do not depend on
    order. Overlapping or gapped views are copied. None stands for a tensor without storage (meta, fake).
    """
    local = getattr(tensor, "_local_tensor", None)  # a DTensor: this rank's shard, no collective
    if local is not None:
        tensor = local
    if tensor.is_meta:
        return None, 0
    if tensor.layout is not torch.strided:
        values = _stored_values(tensor)
        return values.reshape(-1), tensor.numel() - values.numel()
    if tensor.is_contiguous():
        return tensor.view(-1), 0
    in_memory_order = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return in_memory_order.reshape(-1), 0


def _stored_values(tensor: Tensor) -> Tensor:
    if tensor.layout is torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout in _COMPRESSED:
        return tensor.values()
    return tensor.to_dense()
