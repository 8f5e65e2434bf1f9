"""What the loss says of the output: the unit it is measured in, and how far it is from the targets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MOST_NODES = 256


@dataclass(frozen=True)
class Target:
    """What a recognized loss tells.

    unit: σ_y, 1 for logits, the targets' standard deviation for a regression; None if the loss does not tell.
    residual: rms residual over σ_y, or the mean of one minus the probability of the right class; 0 is a
    perfect fit and about 1 none; NaN if the loss does not tell.
    """

    unit: float | None = None
    residual: float = float("nan")


def read_target(loss: Any, output: Any) -> Target:
    """Look for a loss that is known between the autograd nodes `loss` and `output`; the nearest to `loss`
    counts.
    """
    seen, queue = {loss}, [loss]
    while queue and len(seen) < _MOST_NODES:
        node = queue.pop(0)
        read = _READERS.get(node.name().rstrip("0123456789").removesuffix("Backward"))
        if read is not None:
            with torch.no_grad():
                return read(node)
        for child, _ in node.next_functions:
            if child is not None and child is not output and child not in seen:
                seen.add(child)
                queue.append(child)
    return Target()


def in_output_units(columns: dict[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
    """Return the columns of a scan with audibility in units of σ_y (of the output's own audibility where σ_y
    is not known) and the residual added.
    """
    output = columns["audibility_output"]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = output if target.unit is None else target.unit
        changed = {name: columns[name] / scale for name in ("audibility", "audibility_output")}
    return {**columns, **changed, "residual": np.full(len(output), target.residual)}


def _saved(node: Any, name: str) -> Tensor | None:
    value = getattr(node, f"_saved_{name}", None)
    return value if isinstance(value, Tensor) and value.numel() else None


def _classes(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None or labels.is_floating_point() or scores.ndim < 2:
        return Target(1.0)
    known = (labels >= 0) & (labels < scores.shape[1])
    picked = scores.gather(1, labels.clamp(0, scores.shape[1] - 1).unsqueeze(1)).squeeze(1)[known]
    return Target(1.0, _number((1 - picked.double().exp()).mean()) if picked.numel() else float("nan"))


def _logits(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None:
        return Target(1.0)
    return Target(1.0, _number((scores.double().sigmoid() - labels.double()).abs().mean()))


def _probabilities(node: Any) -> Target:
    scores, labels = _saved(node, "self"), _saved(node, "target")
    if scores is None or labels is None:
        return Target(1.0)
    return Target(1.0, _number((scores.double() - labels.double()).abs().mean()))


def _regression(node: Any) -> Target:
    values, targets = _saved(node, "self"), _saved(node, "target")
    if values is None or targets is None:
        return Target()
    wanted = targets.double()
    unit = _number(wanted.std(correction=0)) if wanted.numel() > 1 else _number(wanted.abs().sum())
    if not 0 < unit < float("inf"):
        return Target()
    return Target(unit, _number((values.double() - wanted).square().mean().sqrt()) / unit)


def _number(value: Tensor) -> float:
    return float(value)


_READERS = {
    "NllLoss": _classes,
    "NllLoss2D": _classes,
    "BinaryCrossEntropyWithLogits": _logits,
    "BinaryCrossEntropy": _probabilities,
    "MseLoss": _regression,
    "SmoothL1Loss": _regression,
    "HuberLoss": _regression,
}
