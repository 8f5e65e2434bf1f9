"""Stacks that start at small signals: where an odd activation is nearly linear, an orthogonal layer is nearly
an isometry, and ten thousand of them in a row are one still.
"""

from collections.abc import Sequence
from dataclasses import replace

from livegrad.diagnose.optimizer_kind import are_scale_free
from livegrad.treat.body import Body
from livegrad.treat.initialization.gains import Gains
from livegrad.treat.initialization.measuring import input_power
from livegrad.treat.weights import Weight


def at_small_signals(
    body: Body, weights: Sequence[Weight], drawn: Sequence[Gains], depth: int
) -> list[Gains]:
    """Return `drawn` with the first layer's gain for E z² = 1/L, L = `depth`, as measured on the batch.

    A power of 1/(3L) arrives, and all layers together had to learn to enlarge it before the outputs say
    anything. So the readout, the layers behind the last activation, is drawn √L larger where the optimizer
    divides by the gradient's own size. One that follows that size would take steps L times as large.
    """
    found = list(drawn)
    if weights[0].part.before is None:
        found[0] = replace(found[0], weight=(input_power(body, weights[0].module) * depth) ** -0.5)
    if are_scale_free(type(o).__name__ for o in body.optimizers):
        for place in _readout(weights):
            found[place] = found[place].times(depth**0.5)
    return found


def _readout(weights: Sequence[Weight]) -> range:
    """Places of the layers that no activation follows, behind the last one that an activation follows."""
    hidden = [place for place, weight in enumerate(weights) if weight.part.activation is not None]
    return range(hidden[-1] + 1, len(weights)) if hidden else range(0)
