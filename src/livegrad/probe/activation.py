"""Activation functions as they behave on live data: slope, saturated share, dead share.

The slope φ'(x) is read from the autograd node itself (node(1) = φ'(x) for an elementwise operation), so it is right
for functional calls, in-place calls and any argument the activation takes.
"""

from dataclasses import dataclass
from typing import Any

import torch

# Autograd node of each elementwise activation -> largest |φ'| where φ saturates on both sides (None: it does not).
SATURATING: dict[str, float] = {
    "SigmoidBackward0": 0.25,
    "TanhBackward0": 1.0,
    "HardtanhBackward0": 1.0,
    "HardsigmoidBackward0": 1.0 / 6.0,
}
RECTIFYING = frozenset({"ReluBackward0", "ThresholdBackward0"})
SMOOTH = frozenset(
    {
        "LeakyReluBackward0",
        "LeakyReluBackward1",
        "EluBackward0",
        "CeluBackward0",
        "GeluBackward0",
        "SiluBackward0",
        "MishBackward0",
        "SoftplusBackward0",
        "HardswishBackward0",
        "LogSigmoidBackward0",
        "SoftshrinkBackward0",
        "HardshrinkBackward0",
    }
)
ACTIVATIONS = frozenset(SATURATING) | RECTIFYING | SMOOTH
# A unit entry is called saturated where its slope is under this fraction of the activation's largest slope:
# |x| > 4.36 for the sigmoid, |x| > 2.18 for tanh.
SATURATED_SLOPE = 0.05


@dataclass(frozen=True)
class ActivationState:
    """What one activation did to one batch; 0-dim tensors on the model's device, so that reading costs no sync here.

    slope: rms of φ'(x) over all entries.  saturated: share of entries with |φ'| < 5 % of its maximum (None if φ does not
    saturate on both sides).  dead: share of units with φ' = 0 on every sample of the batch (None unless φ rectifies).
    """

    slope: torch.Tensor
    saturated: torch.Tensor | None
    dead: torch.Tensor | None


def is_activation(node: Any) -> bool:
    """True if the autograd `node` is a known elementwise activation."""
    return node.name() in ACTIVATIONS


def measure_activation(node: Any, output: torch.Tensor) -> ActivationState | None:
    """Measure slope, saturation and death of the activation that made `output` (shape: batch × … ), or None if it cannot be read."""
    with torch.no_grad():
        try:
            slope = node(torch.ones_like(output))
        except RuntimeError:
            return None
        if isinstance(slope, tuple):
            slope = slope[0]
        if slope is None:
            return None
        name = node.name()
        size = slope.abs() if slope.dtype in (torch.float32, torch.float64) else slope.abs().float()
        top = SATURATING.get(name)
        saturated = None if top is None else (size < SATURATED_SLOPE * top).float().mean()
        dead = _dead_share(size) if name in RECTIFYING else None
        return ActivationState(size.square().mean().sqrt(), saturated, dead)


def _dead_share(size: torch.Tensor) -> torch.Tensor | None:
    if size.ndim < 2 or size.shape[0] < 2 or size.numel() == 0:
        return None
    unit = 1 if size.ndim in (4, 5) else size.ndim - 1
    others = [d for d in range(size.ndim) if d != unit]
    return (size.amax(dim=others) == 0).float().mean()
