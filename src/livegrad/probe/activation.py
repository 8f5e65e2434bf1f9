"""Activation functions as they behave on live data: slope, saturated share, dead share.

ReLU, tanh and sigmoid tell their slope by their output. Of any other activation φ'(x) is read from the
autograd node (node(1) = φ'(x) for an elementwise operation), so it is right for functional and in-place calls
and any argument φ takes.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livegrad.probe import squares

# Autograd node of each elementwise activation -> largest |φ'| where φ saturates on both sides (None: it does
# not).
SATURATING: dict[str, float] = {
    "SigmoidBackward0": 0.25,
    "TanhBackward0": 1.0,
    "HardtanhBackward0": 1.0,
    "ClampBackward1": 1.0,
    "HardsigmoidBackward0": 1.0 / 6.0,
}
RECTIFYING = frozenset({"ReluBackward0", "ThresholdBackward0"})
SMOOTH = frozenset({
    "LeakyReluBackward0", "EluBackward0", "CeluBackward0", "GeluBackward0", "SiluBackward0",
    "MishBackward0", "SoftplusBackward0", "HardswishBackward0", "LogSigmoidBackward0",
    "SoftshrinkBackward0", "HardshrinkBackward0", "RreluWithNoiseBackward0",
})  # fmt: skip
# A clamp on one side only is none.
ACTIVATIONS = (frozenset(SATURATING) - {"ClampBackward1"}) | RECTIFYING | SMOOTH
# A unit entry is called saturated where its slope is under this fraction of the activation's largest slope:
# |x| > 4.36 for the sigmoid, |x| > 2.18 for tanh.
SATURATED_SLOPE = 0.05


@dataclass(frozen=True)
class ActivationState:
    """What one activation did to one batch: numbers, or on a device 0-dim tensors, so that reading waits for
    nothing here.

    slope: rms of φ'(x) over all entries (None of a softmax).  saturated: share of entries with |φ'| < 5 % of
    its maximum (None if φ does not saturate on both sides), of a softmax the share of such rows.  dead: share
    of units with φ' = 0 on every sample of the batch (None unless φ rectifies).
    """

    slope: Tensor | float | None
    saturated: Tensor | float | None
    dead: Tensor | float | None


def is_activation(node: Any) -> bool:
    """True if the autograd `node` is a known elementwise activation, or a clamp on both sides."""
    return node.name() in ACTIVATIONS or _is_clamp(node)


def _is_clamp(node: Any) -> bool:
    if node.name() != "ClampBackward1":
        return False
    return node._saved_min is not None and node._saved_max is not None


def measure_activation(node: Any, output: Tensor, may_read_node: bool = True) -> ActivationState | None:
    """Measure slope, saturation and death of the activation that made `output` (shape: batch × … ), or None
    if it cannot be read.

    may_read_node: False while saved tensors are packed away (checkpointing): reading the node would run the
    user's code.
    """
    name = node.name()
    y = output.detach()
    y = y if y.dtype in (torch.float32, torch.float64) else y.float()
    if name == "ReluBackward0":
        # Not y > 0: NaN is no death.
        return _rectified(y != 0)
    if name == "TanhBackward0":
        return _saturating(1 - y * y, 1.0)
    if name == "SigmoidBackward0":
        return _saturating(y - y * y, 0.25)
    return _read_from(node, name, y) if may_read_node else None


def _rectified(active: Tensor) -> ActivationState:
    """For slopes of 0 and 1: the rms slope is the root of the active share."""
    others = _not_unit(active)
    per_unit = active.sum(dim=others) if others is not None else active.sum()
    if squares.in_host_memory(active):
        counts = per_unit.numpy()
        slope = math.sqrt(counts.sum() / active.numel())
        return ActivationState(slope, None, None if others is None else float((counts == 0).mean()))
    share = per_unit.sum().double().div(active.numel())
    return ActivationState(share.sqrt(), None, None if others is None else (per_unit == 0).double().mean())


def _saturating(slope: Tensor, top: float) -> ActivationState:
    saturated = (slope.abs() < SATURATED_SLOPE * top).sum()
    if squares.in_host_memory(slope):
        return ActivationState(_rms(slope), saturated.item() / slope.numel(), None)
    return ActivationState(_rms(slope), saturated.double().div(slope.numel()), None)


def _read_from(node: Any, name: str, y: Tensor) -> ActivationState | None:
    try:
        with torch.no_grad():
            slope = node(torch.ones_like(y))
    except RuntimeError:
        return None
    slope = slope[0] if isinstance(slope, tuple) else slope
    if slope is None or slope.shape != y.shape:
        return None
    slope = slope if slope.dtype in (torch.float32, torch.float64) else slope.float()
    # ReLU6 is a hardtanh from 0 to 6: its lower side rectifies.
    lower = {"HardtanhBackward0": "_saved_min_val", "ClampBackward1": "_saved_min"}.get(name)
    if name in RECTIFYING or (lower is not None and getattr(node, lower) >= 0):
        return _rectified(slope != 0)
    top = SATURATING.get(name)
    return ActivationState(_rms(slope), None, None) if top is None else _saturating(slope, top)


def _rms(slope: Tensor) -> Tensor | float:
    norm = torch.linalg.vector_norm(slope)
    root = math.sqrt(slope.numel())
    return norm.item() / root if squares.in_host_memory(norm) else norm.double() / root


def _not_unit(values: Tensor) -> list[int] | None:
    """Dimensions of samples and places: all but the channels of an image, all but the last otherwise; None if
    there is one sample.
    """
    if values.ndim < 2 or values.shape[0] < 2:
        return None
    unit = 1 if values.ndim in (4, 5) else values.ndim - 1
    return [d for d in range(values.ndim) if d != unit]
