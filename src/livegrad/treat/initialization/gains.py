"""Weights drawn layer by layer, each with the gain that its variant gives it."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from livegrad.theory.activation import CATALOGUE, gain, named
from livegrad.theory.critical_point import critical_point
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.weights import Weight, flat


@dataclass(frozen=True)
class Gains:
    """How one layer is drawn. weight: σ_w. bias: σ_b. kind: as Draw has it."""

    kind: str
    weight: float
    bias: float = 0.0


def gains_of(weight: Weight, variant: str) -> Gains:
    """Return how `variant` draws this layer, by the activation in front of it."""
    before = weight.part.before
    known = before is not None and before in CATALOGUE
    own = gain(before) if known and before is not None else 1.0
    fan_in, fan_out = weight.fan_in, weight.fan_out
    if variant == "xavier":
        return Gains("normal", math.sqrt(2 * fan_in / (fan_in + fan_out)))
    if variant == "he":
        return Gains("normal", math.sqrt(2))
    if variant == "lecun":
        return Gains("normal", 1.0)
    if variant == "critical" and known and before is not None:
        point = critical_point(before)
        if point is not None:
            return Gains("normal", math.sqrt(point.weight_variance), math.sqrt(point.bias_variance))
    if variant == "edge" and known and before is not None:
        slope = abs(float(named(before).slope(np.zeros(1))[0]))
        return Gains("orthogonal", 1 / slope if slope > 0 else own)
    if variant == "delta-orthogonal":
        return Gains("delta-orthogonal" if weight.is_convolution else "orthogonal", own)
    return Gains("orthogonal" if variant in ("orthogonal", "edge", "lsuv") else "normal", own)


def draw_layer(weight: Weight, gains: Gains, generator: torch.Generator) -> list[Drawn]:
    """Draw a layer's weights, then its bias, anew."""
    if gains.kind == "normal":
        draw = Draw("normal", gains.weight / math.sqrt(weight.fan_in))
        what = f"weights: normal, σ = {draw.amount:.3g} (gain {gains.weight:.3g})"
    else:
        # So that fan-in · mean W² = gain² also where there are more outputs than inputs.
        rows, columns = flat(weight.weight)
        columns = weight.weight.shape[1] if gains.kind == "delta-orthogonal" else columns
        draw = Draw(gains.kind, gains.weight * math.sqrt(max(1.0, rows / columns)))
        what = f"weights: {gains.kind}, gain {gains.weight:.3g}"
    made = weight.part.made
    changes = [redrawn(weight.weight, draw, generator, f"{weight.name}.weight", what, made)]
    if weight.bias is not None:
        bias = Draw("normal", gains.bias) if gains.bias else Draw("constant", 0.0)
        what = f"bias: normal, σ = {gains.bias:.3g}" if gains.bias else "bias: zero"
        changes.append(redrawn(weight.bias, bias, generator, f"{weight.name}.bias", what, made))
    return changes
