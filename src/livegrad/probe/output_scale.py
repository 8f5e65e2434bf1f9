"""The unit that a model's output is measured in: σ_y = 1 for logits, the targets' standard deviation for a regression."""

from typing import Any

import torch

_LOGIT_LOSSES = frozenset(
    {"NllLoss", "NllLoss2D", "BinaryCrossEntropyWithLogits", "BinaryCrossEntropy", "KlDiv"}
)
_REGRESSION_LOSSES = frozenset({"MseLoss", "SmoothL1Loss", "HuberLoss"})
_MOST_NODES = 256


def output_scale(loss: Any, output: Any) -> float | None:
    """Return σ_y as told by the loss found between the autograd nodes `loss` and `output`; None if it cannot be told."""
    seen, queue = {loss}, [loss]
    while queue and len(seen) < _MOST_NODES:
        node = queue.pop(0)
        name = node.name().rstrip("0123456789").removesuffix("Backward")
        if name in _LOGIT_LOSSES:
            return 1.0
        if name in _REGRESSION_LOSSES:
            target = getattr(node, "_saved_target", None)
            return _spread(target) if isinstance(target, torch.Tensor) else None
        for child, _ in node.next_functions:
            if child is not None and child is not output and child not in seen:
                seen.add(child)
                queue.append(child)
    return None


def _spread(target: torch.Tensor) -> float | None:
    with torch.no_grad():
        size = (
            float(target.double().std(correction=0))
            if target.numel() > 1
            else float(target.double().abs().sum())
        )
    return size if size > 0 and size != float("inf") and size == size else None
