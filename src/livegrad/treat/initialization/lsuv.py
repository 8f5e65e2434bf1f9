"""Layers scaled, in order of execution, so that each one's output has variance one on the batch (LSUV;
Mishkin & Matas 2016), or less where a function of the program's own is to be met at small signals.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.initialization.measuring import undisturbed
from livegrad.treat.own_products import PRODUCTS
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
            Draw("scaled", 1 / spreads[id(w.weight)]),
            generator,
            w.where("weight"),
            f"weights: divided by {spreads[id(w.weight)]:.3g}, for variance {variance:g} on the batch",
            w.part.made,
        )
        for w in weights
        if id(w.weight) in spreads
    ]


def _spreads(body: Body, weights: Sequence[Weight], wanted: float) -> dict[int, float]:
    """Id of a weight -> the spread of its output over the one that is wanted, all before it scaled."""
    assert body.args is not None
    spreads: dict[int, float] = {}

    def scaled(weight: Tensor, output: Tensor) -> Tensor:
        spread = float(output.detach().double().std()) / wanted
        if id(weight) in spreads or not math.isfinite(spread) or spread == 0:
            return output
        spreads[id(weight)] = spread
        return output / spread

    def hook(weight: Tensor) -> Callable[..., Tensor]:
        return lambda module, args, output: scaled(weight, output)

    handles = [w.module.register_forward_hook(hook(w.weight)) for w in weights if w.part.own is None]
    own = {id(w.weight): w.weight for w in weights if w.part.own is not None}
    try:
        with undisturbed(body.model), _Products(own, scaled):
            body.model(*copy.deepcopy(body.args), **copy.deepcopy(dict(body.kwargs)))
    finally:
        for handle in handles:
            handle.remove()
    return spreads


class _Products(TorchFunctionMode):
    """Gives `change` the result of each product with one of `own`, id -> parameter, and goes on with its."""

    def __init__(self, own: Mapping[int, Tensor], change: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._own = own
        self._change = change

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        weight = next((self._own[id(a)] for a in args if id(a) in self._own), None)
        product = func.__name__.strip("_") in PRODUCTS
        return output if weight is None or not product else self._change(weight, output)
