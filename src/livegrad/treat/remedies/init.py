"""init: draw the weights anew so that each layer passes on as much as it is given.

A layer z' = W φ(z) keeps the size of its signal if σ_w = √(fan-in · Var W) is the gain of the activation *in
front of* it, g = (E φ²)^-½ (1 for the model's own input). Forward and backward then agree up to the factor
√(E φ'²/E φ²) of the activation itself.

    own-gain          normal, σ_w = g(φ before)                       what theory gives any activation
    orthogonal        orthonormal rows or columns, times g            Saxe et al. 2014
    delta-orthogonal  convolutions: orthogonal at the kernel's centre, zero elsewhere; Xiao et al. 2018. Odd
                      activations as `edge` has them, or places without a signal would explode
    critical          σ_w, σ_b with χ₁ = 1 at a fixed length q*       Schoenholz et al. 2017
    centred           orthogonal, σ_w = (Var φ)^-½, and biases that take the mean E φ away
    edge              orthogonal, σ_w = 1/φ'(0), σ_b = 0, and the first layer scaled to E z² = 1/L over L
                      layers: isometry at small signals, for tanh nets of any depth. Under Adam and
                      its kin the readout √L larger, so that outputs are not as small
    xavier, he, lecun as published: σ² = 2/(fan-in + fan-out), 2/fan-in, 1/fan-in
    lsuv              orthogonal, then each layer scaled to unit output variance on the batch; Mishkin & Matas
                      2016. Behind a function unknown to theory, to the variance that passes most back
    residual          own-gain, and the last layer of each of L residual branches times 1/√L
    fixup             residual branches without normalization: their last layer and the classifier zero, the
                      others times L^(-1/(2m-2)); Zhang et al. 2019
    deepnorm          transformers normalized after each sum: the stream times α, the branches' gain β;
                      Wang et al. 2022
    t-fixup           transformers without normalization; Huang et al. 2020
"""

import copy
import math
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from livegrad.probe.random_state import RandomState, replayed
from livegrad.theory.activation import moments
from livegrad.theory.critical_point import critical_point
from livegrad.theory.propagation import Propagation
from livegrad.treat.anatomy import Part, examine
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.draw import generator_of
from livegrad.treat.heard import HEARD
from livegrad.treat.initialization.branches import Branch, branches_of, shrink_branches
from livegrad.treat.initialization.fixup import fixup
from livegrad.treat.initialization.gains import (
    chance,
    draw_layer,
    gains_of,
    has_small_signals,
    is_odd,
    predicted,
)
from livegrad.treat.initialization.lsuv import of_variance
from livegrad.treat.initialization.projections import draw_projections
from livegrad.treat.initialization.small_signals import at_small_signals
from livegrad.treat.initialization.suitable import assess_branches, obstacle_among
from livegrad.treat.initialization.transformer import deepnorm, t_fixup
from livegrad.treat.optimizers import begun
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_init import edits_of_init
from livegrad.treat.weights import Weight, weights_of

_DEEP = 30
# Variants whose audibility differs by less are equally good, and the plainest of them is taken.
_AS_GOOD = 0.5
# Variants that draw by the residual branches there are.
_BY_BRANCH = {"fixup": fixup, "deepnorm": deepnorm, "t-fixup": t_fixup}
# Variances at which a function may be nearly linear, if it is not at one.
_VARIANCES = (1e-2, 1e-4, 1e-6)
# An odd activation has no mean but for rounding.
_NO_MEAN = 1e-9
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


class Init(Remedy):
    """Draw the weights anew."""

    name = "init"
    title = "initialize the weights for their activations"
    treats = ("LG101", "LG103", "LG201", "LG202", "LG203", "LG404", "LG503")
    not_when = (
        "the model is already trained or starts from a checkpoint: what it has learnt would be lost; or "
        "every layer is normalized, so that the scale of its weights does not count"
    )
    variants = (
        "own-gain", "orthogonal", "delta-orthogonal", "critical", "centred", "edge", "xavier", "he", "lecun",
        "lsuv", "residual", "fixup", "deepnorm", "t-fixup",
    )  # fmt: skip
    options: ClassVar = {
        "seed": "of the draw; by default one more than torch's own",
        "variance": "of each layer's output on the batch (lsuv; default 1)",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: the candidates that suit the body are drawn on a copy, and the one that brings
        the deepest layer nearest to the output's audibility is taken; without a batch, by theory alone.
        """
        if choice.variant != AUTO:
            self.require_variant(choice.variant)
            return self._at_best_variance(body, choice) if choice.variant == "lsuv" else choice
        candidates = self._candidates(body)
        if body.args is None or len(candidates) == 1:
            return Choice(self.name, candidates[0], choice.options)
        drawn = [Choice(self.name, variant, choice.options) for variant in candidates]
        drawn = [self._at_best_variance(body, c) if c.variant == "lsuv" else c for c in drawn]
        measured = [abs(_decades_with(body, self, c)) for c in drawn]
        best = min(size if math.isfinite(size) else math.inf for size in measured)
        return next(c for c, size in zip(drawn, measured, strict=True) if not size > best + _AS_GOOD)

    def _at_best_variance(self, body: Body, choice: Choice) -> Choice:
        """The choice with the largest variance at which the deepest layer is heard, where what stands between
        the layers is a function of the program's own.
        """
        unknown = _usual_activation(body.anatomy.parts) is None and any(p.between for p in body.anatomy.parts)
        if body.args is None or not unknown or "variance" in choice.options:
            return choice
        several = [Choice(self.name, "lsuv", {**choice.options, "variance": v}) for v in _VARIANCES]
        measured: list[float] = []
        for c in (choice, *several):
            measured.append(abs(_decades_with(body, self, c)))
            if measured[-1] <= HEARD:
                return c
        sizes = [size if math.isfinite(size) else math.inf for size in measured]
        return (choice, *several)[sizes.index(min(sizes))]

    def assess(self, body: Body, choice: Choice) -> Assessment:
        weights = list(weights_of(body.model, body.anatomy.parts))
        obstacle = _obstacle(body, choice, weights) or _not_the_recurrence(body, weights)
        if obstacle is not None:
            return Assessment(False, obstacle)
        if (body.finding or {}).get("code") == "LG503":
            return Assessment(True, "with these weights the answers are no larger than what they are made of")
        if any(part.kind in ("branch", "path") for part in body.anatomy.parts):
            return assess_branches(body, choice.variant, branches_of(body, weights))
        hidden = [part for part in body.anatomy.parts if part.activation is not None]
        if hidden and all(part.normalization is not None for part in hidden):
            return Assessment(False, "every layer is normalized: the scale of its weights does not count")
        activation = _usual_activation(body.anatomy.parts)
        if activation is None:
            return Assessment(None, "no known activation stands between its layers")
        found = _predicted(body, choice.variant, activation, weights)
        decades, per_layer = found.audibility_decades, found.per_layer
        numbers = {"backward_gain_per_layer": per_layer, "audibility_decades": decades}
        said = f"with these weights {activation} passes back {per_layer:.3g} of the signal per layer"
        worst = found.worst_decades
        if abs(worst) <= HEARD:
            return Assessment(True, said, numbers)
        instead = (
            "replace the activation, or add normalization or skip connections"
            if worst < 0 or not is_odd(activation)
            else "take init=edge"
        )
        if abs(decades) <= HEARD:
            instead = "take init=own-gain"
        return Assessment(
            False, f"{said}, {worst:+.1f} decades over {found.depth} layers: {instead}", numbers
        )

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        weights = list(weights_of(body.model, body.anatomy.parts))
        obstacle = _obstacle(body, choice, weights)
        if obstacle is not None:
            raise Refused(obstacle)
        generator = generator_of(body, choice)
        changes: list[Change] = []
        if choice.variant in _BY_BRANCH:
            return _BY_BRANCH[choice.variant](body, weights, branches_of(body, weights), generator)
        drawn = [gains_of(weight, choice.variant) for weight in weights]
        activation = _usual_activation(body.anatomy.parts)
        if activation is not None and has_small_signals(choice.variant, activation):
            drawn = at_small_signals(body, weights, drawn, _depth(body))
        for weight, gains in zip(weights, drawn, strict=True):
            changes += draw_layer(weight, gains, generator)
        changes += draw_projections(body, weights, generator)
        if choice.variant == "lsuv":
            changes += of_variance(body, weights, float(choice.options.get("variance", 1.0)))
        if choice.variant == "residual":
            changes += shrink_branches(body, weights)
        return changes

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of_init(body, choice, changes, "initialize")

    def _candidates(self, body: Body) -> list[str]:
        parts = body.anatomy.parts
        weights = list(weights_of(body.model, parts))
        if any(part.kind in ("branch", "path") for part in parts):
            return _candidates_with_branches(branches_of(body, weights))
        found = ["own-gain", "orthogonal"]
        activation = _usual_activation(parts)
        deep = activation is not None and len(weights) > _DEEP and is_odd(activation)
        if any(w.is_convolution for w in weights) and all(
            _fits_delta(w) for w in weights if w.is_convolution
        ):
            found.append("delta-orthogonal")
        elif deep:
            found.append("edge")
        if activation is not None and abs(moments(activation)[0]) > _NO_MEAN:
            found.append("centred")
        if activation is not None and critical_point(activation) is not None:
            found.append("critical")
        found.append("lsuv")
        found = [v for v in found if _obstacle(body, Choice(self.name, v), weights) is None]
        if activation is None or not found:
            return found or [self.variants[0]]
        far = {v: abs(_expected(body, v, activation, weights)) for v in found}
        return [v for v in found if far[v] <= HEARD] or [min(found, key=lambda v: far[v])]


def _candidates_with_branches(branches: Sequence[Branch]) -> list[str]:
    """Those that transformers have, and for all others the branches' number."""
    attention = any(branch.attention for branch in branches)
    if attention and all(branch.bare and branch.normalized == "post" for branch in branches):
        return ["deepnorm"]
    if attention and all(branch.normalized is None for branch in branches):
        return ["t-fixup"]
    return ["residual", "own-gain"]


def _predicted(body: Body, variant: str, activation: str, weights: Sequence[Weight]) -> Propagation:
    inner = next((w for w in weights if w.part.before == activation), weights[0])
    return predicted(activation, gains_of(inner, variant), variant, _depth(body))


def _expected(body: Body, variant: str, activation: str, weights: Sequence[Weight]) -> float:
    """The decades that a draw loses on average: those of wide layers, and of the layers' width by chance."""
    inner = next((w for w in weights if w.part.before == activation), weights[0])
    by_chance = chance(
        activation, gains_of(inner, variant), variant, [w.weight.shape[0] for w in weights[:-1]]
    )
    return _predicted(body, variant, activation, weights).audibility_decades + by_chance


def _usual_activation(parts: Sequence[Part]) -> str | None:
    """The activation that stands behind most layers."""
    counts: dict[str, int] = {}
    for part in parts:
        if part.activation is not None:
            counts[part.activation] = counts.get(part.activation, 0) + 1
    return max(counts, key=lambda name: counts[name], default=None)


def _obstacle(body: Body, choice: Choice, weights: Sequence[Weight]) -> str | None:
    """Why it cannot be done at all."""
    if not weights:
        return "it has no linear layer or convolution whose weights could be drawn anew"
    if begun(body.optimizers):
        return "training has begun, and what was learnt would be lost: take skip=gated, which loses nothing"
    if choice.variant == "lsuv" and body.args is None:
        return "lsuv measures on a batch: give one, treat(model, 'init=lsuv', inputs=batch)"
    if choice.variant == "delta-orthogonal":
        if not any(w.is_convolution for w in weights):
            return "it has no convolution: of linear layers delta-orthogonal is init=orthogonal"
        unfit = next((w.name for w in weights if w.is_convolution and not _fits_delta(w)), None)
        if unfit is not None:
            return f"delta-orthogonal needs kernels of odd size without groups; {unfit} is not so"
    if choice.variant in _BY_BRANCH or choice.variant == "residual":
        return obstacle_among(body, choice.variant, branches_of(body, weights))
    if choice.variant == "centred":
        bare = next((w.name for w in weights if gains_of(w, "centred").mean and w.bias is None), None)
        if bare is not None:
            return f"{bare} has no bias that could take the mean of its inputs away"
    return None


def _not_the_recurrence(body: Body, weights: Sequence[Weight]) -> str | None:
    """Why it is no answer to what a recurrence does, where that runs inside one layer of torch."""
    finding = body.finding or {}
    in_time = finding.get("code") in ("LG102", "LG104") or (finding.get("cause") or {}).get("kind") == "time"
    if not in_time or any(weight.part.kind == "time" for weight in weights):
        return None
    inside = next((type(m).__name__ for m in body.model.modules() if isinstance(m, _RECURRENT)), None)
    return None if inside is None else f"it leaves the weights of nn.{inside} as they are: take recurrent"


def _depth(body: Body) -> int:
    return max(1, sum(part.kind == "depth" for part in body.anatomy.parts))


def _fits_delta(weight: Weight) -> bool:
    return weight.groups == 1 and all(size % 2 for size in weight.weight.shape[2:])


def _decades_with(body: Body, remedy: Remedy, choice: Choice) -> float:
    """The deepest layer's audibility after this choice, tried on a copy of the body."""
    trial = Body(copy.deepcopy(body.model), (), body.args, body.kwargs, body.finding, seed=body.seed)
    with replayed(RandomState.now({p.device for p in body.model.parameters()})):
        try:
            remedy.apply(trial, choice)
            return examine(trial.model, trial.args, trial.kwargs).decades
        except Refused:
            return math.inf
