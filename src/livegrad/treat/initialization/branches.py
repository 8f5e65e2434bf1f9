"""The last layer of each residual branch, scaled down so that the sum of all branches stays bounded."""

import math
from collections.abc import Sequence

from livegrad.treat.body import Body
from livegrad.treat.draw import Draw, Drawn, redrawn
from livegrad.treat.weights import Weight


def branches_of(weights: Sequence[Weight]) -> list[list[Weight]]:
    """The layers of each residual branch, in order of execution."""
    found: dict[int, list[Weight]] = {}
    for weight in weights:
        if weight.part.kind in ("branch", "path"):
            found.setdefault(weight.part.depth, []).append(weight)
    return list(found.values())


def shrink_branches(body: Body, weights: Sequence[Weight]) -> list[Drawn]:
    """Multiply the last layer of each residual branch by 1/√L, L the number of branches."""
    branches = branches_of(weights)
    factor = 1 / math.sqrt(max(1, len(branches)))
    generator = body.generator()
    return [
        redrawn(
            branch[-1].weight,
            Draw("scaled", factor),
            generator,
            f"{branch[-1].name}.weight",
            f"weights: times 1/√{len(branches)}, last layer of a residual branch",
            branch[-1].part.made,
        )
        for branch in branches
    ]
