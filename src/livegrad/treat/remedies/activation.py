"""activation: put an activation that keeps the gradient in the place of one that does not.

Modules are replaced in their parents; functional calls and tensor methods by an attribute `forward` of the
module that calls them (livegrad.treat.swapped_calls). Gates, the model's own output link, activations fed by
frozen weights and those in a loop over time stay as they are. The weights are drawn anew to match, unless
init=false.
"""

from collections.abc import Sequence
from typing import ClassVar

from livegrad.theory.propagation import backward_gain
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.heard import HEARD
from livegrad.treat.optimizers import begun
from livegrad.treat.remedies.init import Init
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_activation import edits_of_activation
from livegrad.treat.swaps.acting import swap_calls, swap_modules
from livegrad.treat.swaps.choosing import (
    MODULES,
    TAILORED,
    decades_of,
    drawn_for,
    module_of,
    order_for,
    theory_of,
)
from livegrad.treat.swaps.plan import depth_of, plan_of
from livegrad.treat.weights import median_gain

# The deepest layer may be this far from the output's audibility, either way, and still be heard.
_NEAR = 1.5


class ActivationSwap(Remedy):
    """Replace an activation."""

    name = "activation"
    title = "replace the activation by one that keeps the gradient"
    treats = ("LG101", "LG201", "LG202")
    not_when = (
        "the activation is a gate or makes the model's output; the model is already trained; or the weights "
        "and not the activation are to blame"
    )
    variants = (*MODULES, TAILORED)
    options: ClassVar = {
        "init": "draw the weights anew to match (default true), or a variant of init to draw them by",
        "only": "replace activations of this type alone, for example Sigmoid",
        "seed": "of the draw of the weights",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: the one that changes least of those that bring the deepest layer, by closed
        form, within 1.5 decades of the output.
        """
        if choice.variant != AUTO:
            self.require_variant(choice.variant)
            return choice
        plan = plan_of(body, choice)
        if plan.kind is None:
            return Choice(self.name, "relu", choice.options)
        depth = depth_of(body, plan)
        found = {v: decades_of(v, plan.kind, depth) for v in order_for(body, plan.kind)}
        near = (v for v, decades in found.items() if abs(decades) < _NEAR)
        best = next(near, min(found, key=lambda v: abs(found[v])))
        return Choice(self.name, best, choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        plan = plan_of(body, choice)
        if not plan.swapped or plan.kind is None:
            why = f" ({'; '.join(plan.kept)})" if plan.kept else ""
            return Assessment(False, f"there is no hidden activation to replace{why}")
        if begun(body.optimizers):
            return Assessment(False, "training has begun, and the weights have learnt with what is there")
        if any(part.kind in ("branch", "path") for part in body.anatomy.parts):
            return Assessment(None, "the model has branches; theory speaks of plain stacks")
        depth = depth_of(body, plan)
        sigma = median_gain(body.model, body.anatomy.parts)
        now = backward_gain(plan.kind, sigma, depth=depth)
        before = {"backward_gain_per_layer": now.per_layer, "audibility_decades": now.audibility_decades}
        new = theory_of(choice.variant, plan.kind, depth)
        weights, bias = drawn_for(body, new, choice, depth)
        found = backward_gain(new, weights, depth=depth, bias_variance=bias)
        predicted = {
            "backward_gain_per_layer": found.per_layer,
            "audibility_decades": found.audibility_decades,
        }
        said = (
            f"{choice.variant} passes back {found.per_layer:.3g} per layer, {plan.kind} {now.per_layer:.3g}"
        )
        if not abs(found.worst_decades) <= HEARD:
            return Assessment(
                False,
                f"{said}: {found.worst_decades:.1f} decades over {depth} layers are still too many",
                predicted,
                before,
            )
        return Assessment(True, said, predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        plan = plan_of(body, choice)
        if not plan.swapped or plan.kind is None:
            raise Refused(
                f"there is no hidden activation to replace: {'; '.join(plan.kept) or 'none was seen'}"
            )
        depth = depth_of(body, plan)
        new = module_of(choice.variant, plan.kind, depth)
        _, bias = drawn_for(body, theory_of(choice.variant, plan.kind, depth), choice, depth)
        changes = [*swap_modules(body, plan, new), *swap_calls(body, plan, new)]
        try:
            body.changed()
            if choice.options.get("init", True) is not False:
                changes += _match(body, choice, "critical" if bias else "own-gain")
        except BaseException:
            for change in reversed(changes):
                change.undo()
            body.changed()
            raise
        return changes

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of_activation(body, choice, changes)


def _match(body: Body, choice: Choice, suits: str) -> Sequence[Change]:
    asked = choice.options.get("init", True)
    seed = {"seed": choice.options["seed"]} if "seed" in choice.options else {}
    branches = any(part.kind in ("branch", "path") for part in body.anatomy.parts)
    variant = asked if isinstance(asked, str) else "residual" if branches else suits
    cure = Init()
    return cure.apply(body, cure.resolve(body, Choice("init", variant, seed)))
