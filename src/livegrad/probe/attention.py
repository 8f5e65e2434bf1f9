"""How sharp a softmax is on live data: the share of its rows that pass next to nothing back.

The Jacobian of a row p is diag(p) − ppᵀ. Where the largest entry p₁ is over ½ none of its eigenvalues is over
2 p₁(1 − p₁) (Gershgorin); the largest that any row has is ½. A row that puts all weight on one entry is to
its scores what a sigmoid far out is to its argument: they hear nothing. Attention that runs in one call has
its softmax, or its queries and keys, among the nodes that the call made.
"""

from typing import Any

import torch
from torch import Tensor

from livegrad.probe.activation import SATURATED_SLOPE, ActivationState

_SOFTMAX = frozenset({"SoftmaxBackward0", "SafeSoftmaxBackward0"})
_FUSED = "ScaledDotProduct"
_CALLS = frozenset({"softmax", "scaled_dot_product_attention", "multi_head_attention_forward"})
_STEEPEST = 0.5
# Scores that are computed for a fused attention at most.
_MOST_SCORES = 1 << 21
_MOST_NODES = 64


def is_weighing(node: Any, call: str) -> bool:
    """True for a softmax and for an attention: node of its result, and name of the call."""
    return node.name() in _SOFTMAX or call in _CALLS


def measure_weights(node: Any, first: int) -> ActivationState | None:
    """Measure the softmax that made the result of `node`, or None where there is none to be read.

    Its slope is not measured. first: number that the first node of the call could have. Saved tensors are
    read, so they must not be packed away.
    """
    with torch.no_grad():
        try:
            weights = _weights(node, first)
        except (RuntimeError, AttributeError):  # freed, or saved by other names
            return None
        if weights is None or weights.shape[-1] < 2 or not weights.numel():
            return None
        most = weights.amax(-1)
        shut = (most > 0.5) & (2 * most * (1 - most) < SATURATED_SLOPE * _STEEPEST)
        return ActivationState(None, shut.double().mean(), None)


def _weights(node: Any, first: int) -> Tensor | None:
    """The rows of the softmax, along the last axis."""
    waiting, seen = [node], {node}
    while waiting and len(seen) < _MOST_NODES:
        here = waiting.pop(0)
        name = here.name()
        if name in _SOFTMAX:
            result = here._saved_result.detach()
            return _floating(result.movedim(_signed(here._saved_dim), -1))
        if name.startswith(_FUSED):
            return _of_fused(here)
        inner = [child for child, _ in here.next_functions if child is not None and child not in seen]
        inner = [child for child in inner if child._sequence_nr() >= first]
        seen.update(inner)
        waiting += inner
    return None


def _of_fused(node: Any) -> Tensor:
    query, key = node._saved_query.detach(), node._saved_key.detach()
    each = max(1, query[0].numel() // query.shape[-1] * key.shape[-2])
    some = max(1, _MOST_SCORES // each)
    query, key = _floating(query[:some]), _floating(key[:some])
    scale = getattr(node, "_saved_scale", None)
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    mask = getattr(node, "_saved_attn_mask", None)
    if mask is not None:
        mask = mask.detach()
        scores = scores + (mask[:some] if mask.ndim == scores.ndim and mask.shape[0] > 1 else mask)
    if getattr(node, "_saved_is_causal", False):
        rows, columns = scores.shape[-2:]
        later = torch.ones(rows, columns, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, -torch.inf)
    return scores.softmax(-1)


def _floating(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def _signed(dimension: int) -> int:
    """Autograd hands a negative dimension over as an unsigned number of 64 bits."""
    return dimension - (1 << 64) if dimension >= 1 << 63 else dimension
