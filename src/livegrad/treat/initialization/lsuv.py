"""Layers scaled, in order of execution, so that each one's output has variance one on the batch (LSUV;
Mishkin & Matas 2016), or less where a function of the program's own is to be met at small signals.
"""

import copy
import math
from collections.abc import Sequence

from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.initialization.measuring import undisturbed
from livegrad.treat.remedy import Refused
from livegrad.treat.weights import Weight


def of_variance(body: Body, weights: Sequence[Weight], variance: float = 1.0) -> list[Drawn]:
    """Scale the weights, whose biases are zero, in one pass: dividing an output by its spread is dividing the
    weights by it. Raises Refused without a batch.
    """
    if body.args is None:
        raise Refused("lsuv measures on a batch: give one, treat(model, 'init=lsuv', inputs=batch)")
    spreads = _spreads(body, weights, math.sqrt(variance))
    generator = body.generator()
    return [
        redrawn(
            w.weight,
            Draw("scaled", 1 / spreads[id(w.module)]),
            generator,
            f"{w.name}.weight",
            f"weights: divided by {spreads[id(w.module)]:.3g}, for variance {variance:g} on the batch",
            w.part.made,
        )
        for w in weights
        if id(w.module) in spreads
    ]


def _spreads(body: Body, weights: Sequence[Weight], wanted: float) -> dict[int, float]:
    """Module -> its output's spread over the one that is wanted."""
    assert body.args is not None
    spreads: dict[int, float] = {}

    def scaled(module: nn.Module, args: object, output: Tensor) -> Tensor:
        spread = float(output.detach().double().std()) / wanted
        if id(module) in spreads or not math.isfinite(spread) or spread == 0:
            return output
        spreads[id(module)] = spread
        return output / spread

    handles = [w.module.register_forward_hook(scaled) for w in weights]
    try:
        with undisturbed(body.model):
            body.model(*copy.deepcopy(body.args), **copy.deepcopy(dict(body.kwargs)))
    finally:
        for handle in handles:
            handle.remove()
    return spreads
