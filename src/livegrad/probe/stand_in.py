"""A loss where there is none: a number that depends on a model's outputs, to send gradients back from."""

from collections.abc import Iterable

import torch
from torch import Tensor


def stand_in_loss(outputs: Iterable[Tensor]) -> Tensor | None:
    """Return the sum of all entries of those outputs that need a gradient, None if none does.

    For what is read from the graph alone, or from a probe: the size of its gradient means nothing.
    """
    return _total(y.sum() for y in _real(outputs))


def random_projection(outputs: Iterable[Tensor]) -> Tensor | None:
    """Return Σ v·y over those outputs that need a gradient, v ~ N(0, 1/√entries); None if none does.

    Every output counts, and none more than another.
    """
    return _total((torch.randn_like(y) * y).sum() / y.numel() ** 0.5 for y in _real(outputs))


def _real(outputs: Iterable[Tensor]) -> Iterable[Tensor]:
    for y in outputs:
        if y.requires_grad:
            yield (torch.view_as_real(y) if y.is_complex() else y).float()


def _total(terms: Iterable[Tensor]) -> Tensor | None:
    total: Tensor | None = None
    # The terms are made as they are asked for: in here.
    with torch._C.DisableTorchFunction():
        for term in terms:
            total = term if total is None else total + term.to(total.device)
    return total
