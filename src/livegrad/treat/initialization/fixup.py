"""Fixup: residual nets without normalization, whose function changes by the same amount per step at any depth
(Zhang, Dauphin & Ma 2019).

Of L branches with m layers each, the last layer is zero and the others have their activation's own gain times
L^(-1/(2m-2)); the classifier is zero. The scalar biases and multipliers of the paper are left out: layers
have biases, and a multiplier would be a change of the architecture.
"""

from collections.abc import Sequence

import torch

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.initialization.branches import Branch, sums
from livegrad.treat.initialization.gains import draw_layer, gains_of
from livegrad.treat.weights import Weight


def fixup(
    body: Body, weights: Sequence[Weight], branches: Sequence[Branch], generator: torch.Generator
) -> list[Drawn]:
    """Draw all weights so; the last one in order of execution is the classifier."""
    factors = {}
    for branch in branches:
        layers = len(branch.layers)
        inner = (sums(branches) * branch.uses) ** (-1 / (2 * layers - 2)) if layers > 1 else 0.0
        factors |= {w.name: inner for w in branch.layers[:-1]} | {branch.layers[-1].name: 0.0}
    factors[weights[-1].name] = 0.0
    changes: list[Drawn] = []
    for weight in weights:
        factor = factors.get(weight.name, 1.0)
        if factor:
            gains = gains_of(weight, "own-gain")
            changes += draw_layer(weight, gains.times(factor), generator)
            continue
        for name, tensor in (("weight", weight.weight), ("bias", weight.bias)):
            if tensor is not None:
                zero, where = Draw("constant", 0.0), weight.where(name)
                changes.append(redrawn(tensor, zero, generator, where, f"{name}: zero", weight.part.made))
    return changes
