"""init: draw the weights anew so that each layer passes on as much as it is given.

A layer z' = W φ(z) keeps the size of its signal if σ_w = √(fan-in · Var W) is the gain of the activation *in
front of* it, g = (E φ²)^-½ (1 for the model's own input). Forward and backward then agree up to the factor
√(E φ'²/E φ²) of the activation itself.

    own-gain          normal, σ_w = g(φ before)                       what theory gives any activation
    orthogonal        orthonormal rows or columns, times g            Saxe et al. 2014
    delta-orthogonal  convolutions: orthogonal at the kernel's centre, zero elsewhere; Xiao et al. 2018
    critical          σ_w, σ_b with χ₁ = 1 at a fixed length q*       Schoenholz et al. 2017
    edge              orthogonal, σ_w = 1/φ'(0), σ_b = 0: isometry at small signals, for very deep tanh nets
    xavier, he, lecun as published: σ² = 2/(fan-in + fan-out), 2/fan-in, 1/fan-in
    lsuv              orthogonal, then each layer scaled to unit output variance on the batch; Mishkin & Matas
    residual          own-gain, and the last layer of each of L residual branches times 1/√L
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from livegrad.probe.random_state import RandomState, replayed
from livegrad.theory.activation import CATALOGUE, gain, named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.propagation import backward_gain
from livegrad.treat.anatomy import Part, examine
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.weights import Weight, flat, orthogonal, rewritten, weights_of

_DEEP = 30
# A signal that has lost this is not heard any more; see docs/how-it-decides.md.
_FLOOR_DECADES = 3.0
# Variants whose audibility differs by less are equally good, and the plainest of them is taken.
_AS_GOOD = 0.5


@dataclass(frozen=True)
class _Draw:
    """How one weight is drawn. gain: σ_w. bias: σ_b. kind: "normal", "orthogonal" or "delta"."""

    kind: str
    gain: float
    bias: float = 0.0


class Init(Remedy):
    """Draw the weights anew."""

    name = "init"
    title = "initialize the weights for their activations"
    treats = ("LG101", "LG103", "LG201", "LG202", "LG203")
    not_when = (
        "the model is already trained or starts from a checkpoint: what it has learnt would be lost; or "
        "every layer is normalized, so that the scale of its weights does not count"
    )
    variants = (
        "own-gain", "orthogonal", "delta-orthogonal", "critical", "edge", "xavier", "he", "lecun", "lsuv",
        "residual",
    )  # fmt: skip
    options: ClassVar = {"seed": "of the draw; without it torch's own random state is used"}

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: the candidates that suit the body are drawn on a copy, and the one that brings
        the deepest layer nearest to the output's audibility is taken; without a batch, by theory alone.
        """
        if choice.variant != AUTO:
            if choice.variant not in self.variants:
                raise Refused(
                    f"init knows no variant {choice.variant!r}. There are: {', '.join(self.variants)}"
                )
            return choice
        candidates = self._candidates(body)
        if body.args is None or len(candidates) == 1:
            return Choice(self.name, candidates[0], choice.options)
        measured = {variant: abs(_decades_with(body, self, variant, choice)) for variant in candidates}
        best = min(size if math.isfinite(size) else math.inf for size in measured.values())
        plainest = next(v for v in candidates if not measured[v] > best + _AS_GOOD)
        return Choice(self.name, plainest, choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        weights = list(weights_of(body.model, body.anatomy.parts))
        if not weights:
            return Assessment(
                False, "it has no linear layer or convolution whose weights could be drawn anew"
            )
        activation = _usual_activation(body.anatomy.parts)
        if activation is None:
            return Assessment(None, "no known activation stands between its layers")
        depth = max(1, sum(part.kind == "depth" for part in body.anatomy.parts))
        if any(part.kind in ("branch", "path") for part in body.anatomy.parts):
            return Assessment(None, "the model has branches; theory speaks of plain stacks")
        inner = next((w for w in weights if w.part.before == activation), weights[0])
        draw = _draw_of(inner, choice.variant)
        found = backward_gain(activation, draw.gain, depth=depth, bias_variance=draw.bias**2)
        predicted = {
            "backward_gain_per_layer": found.per_layer,
            "audibility_decades": found.audibility_decades,
        }
        if found.audibility_decades < -_FLOOR_DECADES:
            reason = (
                f"with these weights {activation} passes back {found.per_layer:.2f} of the signal per layer, "
                f"{found.audibility_decades:.1f} decades over {depth} layers: replace the activation, or add "
                "normalization or skip connections"
            )
            return Assessment(False, reason, predicted)
        return Assessment(True, f"{activation} passes back {found.per_layer:.3g} per layer", predicted)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        weights = list(weights_of(body.model, body.anatomy.parts))
        if choice.variant == "delta-orthogonal":
            _check_delta(weights)
        seed = choice.options.get("seed")
        generator = None if seed is None else torch.Generator().manual_seed(int(seed))
        changes: list[Change] = []
        for weight in weights:
            changes += _redraw(weight, _draw_of(weight, choice.variant), generator)
        if choice.variant == "lsuv":
            changes += _unit_variance(body, weights)
        if choice.variant == "residual":
            changes += _shrink_branches(body, weights)
        return changes

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        where = f"{len(changes)} tensors, for example {changes[0].where}" if changes else "nothing"
        return [Edit("instruction", None, f"draw the weights anew right after the model is made ({where})")]

    def _candidates(self, body: Body) -> list[str]:
        parts = body.anatomy.parts
        if any(part.kind in ("branch", "path") for part in parts):
            return ["residual", "own-gain"]
        weights = list(weights_of(body.model, parts))
        found = ["own-gain", "orthogonal"]
        activation = _usual_activation(parts)
        if len(weights) > _DEEP and activation is not None and _is_odd(activation):
            found.append("edge")
        if weights and all(_fits_delta(w) for w in weights if w.is_convolution) and weights[0].is_convolution:
            found.append("delta-orthogonal")
        if activation is not None and critical_point(activation) is not None:
            found.append("critical")
        if body.args is not None:
            found.append("lsuv")
        return found


def _usual_activation(parts: Sequence[Part]) -> str | None:
    """The activation that stands behind most layers."""
    counts: dict[str, int] = {}
    for part in parts:
        if part.activation is not None:
            counts[part.activation] = counts.get(part.activation, 0) + 1
    return max(counts, key=lambda name: counts[name], default=None)


def _is_odd(activation: str) -> bool:
    function = named(activation).function
    x = np.linspace(0.1, 3, 30)
    return bool(np.allclose(function(x), -function(-x)))


def _draw_of(weight: Weight, variant: str) -> _Draw:
    before = weight.part.before
    known = before is not None and before in CATALOGUE
    own = gain(before) if known and before is not None else 1.0
    fan_in, fan_out = weight.fan_in, weight.fan_out
    if variant == "xavier":
        return _Draw("normal", math.sqrt(2 * fan_in / (fan_in + fan_out)))
    if variant == "he":
        return _Draw("normal", math.sqrt(2))
    if variant == "lecun":
        return _Draw("normal", 1.0)
    if variant == "critical" and known and before is not None:
        point = critical_point(before)
        if point is not None:
            return _Draw("normal", math.sqrt(point.weight_variance), math.sqrt(point.bias_variance))
    if variant == "edge" and known and before is not None:
        slope = abs(float(named(before).slope(np.zeros(1))[0]))
        return _Draw("orthogonal", 1 / slope if slope > 0 else own)
    if variant == "delta-orthogonal":
        return _Draw("delta" if weight.is_convolution else "orthogonal", own)
    return _Draw("orthogonal" if variant in ("orthogonal", "edge", "lsuv") else "normal", own)


def _redraw(weight: Weight, draw: _Draw, generator: torch.Generator | None) -> list[Change]:
    tensor = weight.weight
    if draw.kind == "normal":
        new = torch.randn(tensor.shape, dtype=torch.float64, generator=generator)
        new *= draw.gain / math.sqrt(weight.fan_in)
        what = f"weights: normal, σ = {draw.gain / math.sqrt(weight.fan_in):.3g} (gain {draw.gain:.3g})"
    elif draw.kind == "delta":
        new = torch.zeros(tensor.shape, dtype=torch.float64)
        centre = tuple(size // 2 for size in tensor.shape[2:])
        new[(slice(None), slice(None), *centre)] = draw.gain * _scaled_orthogonal(tensor.shape[:2], generator)
        what = f"weights: delta-orthogonal, gain {draw.gain:.3g}"
    else:
        new = (draw.gain * _scaled_orthogonal(flat(tensor), generator)).reshape(tensor.shape)
        what = f"weights: orthogonal, gain {draw.gain:.3g}"
    changes = [rewritten(tensor, new.to(tensor), f"{weight.name}.weight", what, weight.part.made)]
    if weight.bias is not None:
        bias = torch.randn(weight.bias.shape, dtype=torch.float64, generator=generator) * draw.bias
        what = f"bias: normal, σ = {draw.bias:.3g}" if draw.bias else "bias: zero"
        changes.append(
            rewritten(weight.bias, bias.to(weight.bias), f"{weight.name}.bias", what, weight.part.made)
        )
    return changes


def _scaled_orthogonal(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Orthogonal, scaled so that fan-in · mean W² = 1 also where there are more outputs than inputs."""
    rows, columns = int(shape[0]), int(shape[1])
    return orthogonal((rows, columns), generator) * math.sqrt(max(1.0, rows / columns))


def _fits_delta(weight: Weight) -> bool:
    module = weight.module
    odd = all(size % 2 for size in weight.weight.shape[2:])
    return odd and getattr(module, "groups", 1) == 1


def _check_delta(weights: Sequence[Weight]) -> None:
    unfit = [w.name for w in weights if w.is_convolution and not _fits_delta(w)]
    if unfit:
        raise Refused(f"delta-orthogonal needs kernels of odd size without groups; {unfit[0]} is not so")


def _unit_variance(body: Body, weights: Sequence[Weight]) -> list[Change]:
    """Scale each layer, in order of execution, so that its output has variance one on the batch.

    One pass: biases are zero, so dividing an output by its spread is dividing the weights by it.
    """
    if body.args is None:
        raise Refused("lsuv measures on a batch: give one, treat(model, 'init=lsuv', inputs=batch)")
    spreads: dict[int, float] = {}

    def scaled(module: nn.Module, args: object, output: Tensor) -> Tensor:
        spread = float(output.detach().double().std())
        if id(module) in spreads or not math.isfinite(spread) or spread == 0:
            return output
        spreads[id(module)] = spread
        return output / spread

    handles = [w.module.register_forward_hook(scaled) for w in weights]
    training = {m: m.training for m in body.model.modules()}
    buffers = {b: b.clone() for b in body.model.buffers()}
    try:
        with torch.no_grad(), replayed(RandomState.now({w.weight.device for w in weights})):
            body.model(*copy.deepcopy(body.args), **copy.deepcopy(dict(body.kwargs)))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
        with torch.no_grad():
            for buffer, kept in buffers.items():
                buffer.copy_(kept)
    return [
        rewritten(
            w.weight,
            w.weight.detach() / spreads[id(w.module)],
            f"{w.name}.weight",
            f"weights: divided by {spreads[id(w.module)]:.3g}, for unit variance on the batch",
            w.part.made,
        )
        for w in weights
        if id(w.module) in spreads
    ]


def _shrink_branches(body: Body, weights: Sequence[Weight]) -> list[Change]:
    """Multiply the last layer of each residual branch by 1/√L, L the number of branches."""
    last: dict[int, Weight] = {}
    for weight in weights:
        if weight.part.kind in ("branch", "path"):
            last[weight.part.depth] = weight
    factor = 1 / math.sqrt(max(1, len(last)))
    return [
        rewritten(
            w.weight,
            w.weight.detach() * factor,
            f"{w.name}.weight",
            f"weights: times 1/√{len(last)}, last layer of a residual branch",
            w.part.made,
        )
        for w in last.values()
    ]


def _decades_with(body: Body, remedy: Remedy, variant: str, choice: Choice) -> float:
    """The deepest layer's audibility after this variant, tried on a copy of the body."""
    trial = Body(copy.deepcopy(body.model), (), body.args, body.kwargs, body.finding)
    with replayed(RandomState.now({p.device for p in body.model.parameters()})):
        try:
            remedy.apply(trial, Choice(remedy.name, variant, choice.options))
            return examine(trial.model, trial.args, trial.kwargs).decades
        except Refused:
            return math.inf
