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
from typing import ClassVar

import numpy as np

from livegrad.probe.random_state import RandomState, replayed
from livegrad.theory.activation import named
from livegrad.theory.critical_point import critical_point
from livegrad.theory.propagation import backward_gain
from livegrad.treat.anatomy import Part, examine
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.draw import generator_of
from livegrad.treat.initialization.branches import shrink_branches
from livegrad.treat.initialization.gains import draw_layer, gains_of
from livegrad.treat.initialization.lsuv import unit_variance
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.weights import Weight, weights_of

_DEEP = 30
# A signal that has lost this is not heard any more; see docs/how-it-decides.md.
_FLOOR_DECADES = 3.0
# Variants whose audibility differs by less are equally good, and the plainest of them is taken.
_AS_GOOD = 0.5


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
    options: ClassVar = {"seed": "of the draw; by default one more than torch's own"}

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
        drawn = gains_of(inner, choice.variant)
        found = backward_gain(activation, drawn.weight, depth=depth, bias_variance=drawn.bias**2)
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
        generator = generator_of(body, choice)
        changes: list[Change] = []
        for weight in weights:
            changes += draw_layer(weight, gains_of(weight, choice.variant), generator)
        if choice.variant == "lsuv":
            changes += unit_variance(body, weights)
        if choice.variant == "residual":
            changes += shrink_branches(body, weights)
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


def _check_delta(weights: Sequence[Weight]) -> None:
    unfit = [w.name for w in weights if w.is_convolution and not _fits_delta(w)]
    if unfit:
        raise Refused(f"delta-orthogonal needs kernels of odd size without groups; {unfit[0]} is not so")


def _fits_delta(weight: Weight) -> bool:
    module = weight.module
    odd = all(size % 2 for size in weight.weight.shape[2:])
    return odd and getattr(module, "groups", 1) == 1


def _decades_with(body: Body, remedy: Remedy, variant: str, choice: Choice) -> float:
    """The deepest layer's audibility after this variant, tried on a copy of the body."""
    trial = Body(copy.deepcopy(body.model), (), body.args, body.kwargs, body.finding, seed=body.seed)
    with replayed(RandomState.now({p.device for p in body.model.parameters()})):
        try:
            remedy.apply(trial, Choice(remedy.name, variant, choice.options))
            return examine(trial.model, trial.args, trial.kwargs).decades
        except Refused:
            return math.inf
