"""Weights drawn layer by layer, each with the gain that its variant gives it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from livegrad.theory.activation import CATALOGUE, Activation, gain, moments, named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.finite_width import NullBand, layer_spread
from livegrad.theory.propagation import Propagation, backward_gain
from livegrad.treat.draw import Draw, Drawn, put, redrawn
from livegrad.treat.weights import TRANSPOSED, Weight, flat


@dataclass(frozen=True)
class Gains:
    """How one layer is drawn. weight: σ_w. bias: σ_b. kind: as Draw has it. mean: what each input of the
    layer is on average, taken away again by the bias.
    """

    kind: str
    weight: float
    bias: float = 0.0
    mean: float = 0.0

    def times(self, factor: float) -> "Gains":
        """The same with the weights scaled."""
        return replace(self, weight=self.weight * factor)


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
    if variant == "centred" and known and before is not None:
        mean, square, _ = moments(before)
        return Gains("orthogonal", (square - mean**2) ** -0.5, mean=float(f"{mean:.6g}"))
    kind = "delta-orthogonal" if variant == "delta-orthogonal" and weight.is_convolution else "orthogonal"
    if known and before is not None and has_small_signals(variant, before):
        slope = abs(float(named(before).slope(np.zeros(1))[0]))
        return Gains(kind, 1 / slope if slope > 0 else own)
    if variant == "delta-orthogonal":
        return Gains(kind, own)
    return Gains("orthogonal" if variant in ("orthogonal", "edge", "lsuv") else "normal", own)


def has_small_signals(variant: str, activation: str) -> bool:
    """Say whether `variant` starts a stack with this activation at signals of mean square 1/L, where an odd
    activation is nearly linear and an orthogonal layer nearly an isometry.
    """
    return variant == "edge" or (variant == "delta-orthogonal" and is_odd(activation))


def is_odd(activation: str) -> bool:
    """Say whether φ(−x) = −φ(x)."""
    function = named(activation).function
    x = np.linspace(0.1, 3, 30)
    return bool(np.allclose(function(x), -function(-x)))


def predicted(activation: str, drawn: Gains, variant: str, depth: int) -> Propagation:
    """Return what `depth` plain layers with this activation, drawn so, do to signal and gradient."""
    phi: str | Activation = activation
    if drawn.mean:
        phi = centred(activation, drawn.mean)
    length = 1 / depth if has_small_signals(variant, activation) else 1.0
    return backward_gain(phi, drawn.weight, depth=depth, bias_variance=drawn.bias**2, length=length)


def chance(activation: str, drawn: Gains, variant: str, widths: Sequence[int]) -> float:
    """Return what finite width takes from the signal on average, in decades: −β/2 of ln ‖Jᵀv‖², β = Σ κ/n
    over layers of these widths, as if each had the length that it was drawn for.
    """
    phi: str | Activation = centred(activation, drawn.mean) if drawn.mean else activation
    length = 1 / max(1, len(widths)) if has_small_signals(variant, activation) else 1.0
    spread = layer_spread(phi, length, drawn.kind != "normal")
    return NullBand(spread * sum(1 / n for n in widths)).mean_decades


def centred(activation: str, mean: float) -> Activation:
    """Return φ less its mean: what a layer sees whose bias takes the mean of its inputs away."""
    phi = named(activation)
    return replace(phi, name=f"centred {activation}", function=lambda x: phi.function(x) - mean)


def draw_layer(weight: Weight, gains: Gains, generator: torch.Generator) -> list[Drawn]:
    """Draw a layer's weights, then its bias, anew."""
    if gains.kind == "normal":
        draw = Draw("normal", gains.weight / math.sqrt(weight.fan_in))
        what = f"weights: normal, σ = {draw.amount:.3g} (gain {gains.weight:.3g})"
    else:
        # So that fan-in · mean W² = gain² whatever the shape: orthogonal_ makes it 1/max(rows, columns).
        rows, columns = flat(weight.weight)
        inputs = weight.fan_in
        if gains.kind == "delta-orthogonal":
            columns = inputs = weight.weight.shape[1]
        draw = Draw(gains.kind, gains.weight * math.sqrt(max(rows, columns) / inputs))
        what = f"weights: {gains.kind}, gain {gains.weight:.3g}"
    made = weight.part.made
    changes = [redrawn(weight.weight, draw, generator, weight.where("weight"), what, made)]
    if weight.bias is not None:
        changes.append(_draw_bias(weight, weight.bias, gains, generator))
    return changes


def _draw_bias(weight: Weight, bias: Tensor, gains: Gains, generator: torch.Generator) -> Drawn:
    where, made = weight.where("bias"), weight.part.made
    if gains.mean:
        summed, share, form = _inputs_of_units(weight)
        factor = -gains.mean * share
        new = factor * summed
        value = f"{factor:g} * {{layer}}.{weight.attribute}.data{form}"
        # A bias of the program's own may be a row of a matrix.
        code = (f"{{tensor}}.data.copy_({value})" if bias.dim() != 1 else f"{{tensor}}.data = {value}",)
        what = f"bias: takes away the mean {gains.mean:.3g} of each input"
        return put(bias, new, code, where, what, made)
    draw = Draw("normal", gains.bias) if gains.bias else Draw("constant", 0.0)
    what = f"bias: normal, σ = {gains.bias:.3g}" if gains.bias else "bias: zero"
    return redrawn(bias, draw, generator, where, what, made)


def _inputs_of_units(weight: Weight) -> tuple[Tensor, float, str]:
    """The sum of the weights of each output unit, shape (outputs,), the share of them that meets an input at
    one place of the output, and the sum as code.
    """
    tensor, module = weight.weight.detach(), weight.module
    if weight.by_columns:
        return tensor.sum(0), 1.0, ".sum(0)"
    if not isinstance(module, TRANSPOSED):
        return tensor.flatten(1).sum(1), 1.0, ".flatten(1).sum(1)"
    groups = module.groups
    summed = tensor.unflatten(0, (groups, -1)).flatten(3).sum((1, 3)).flatten()
    form = f".unflatten(0, ({groups}, -1)).flatten(3).sum((1, 3)).flatten()"
    return summed, 1 / math.prod(module.stride), form
