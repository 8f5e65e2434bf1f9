"""Where in a program a helper is called on the finished model: as late as possible before it trains.

In front of the statement that makes its optimizer: by then it has been drawn, loaded and moved. Where no
optimizer holds just this model, around the call that makes the model.
"""

from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.remedy import Edit


def on_model(body: Body, helper: str) -> Edit:
    """An edit that calls `helper(model)`, which returns the model, before training."""
    made = Edit(
        "wrap", body.sources.get(""), f"{helper}({{call}})", type(body.model).__name__,
        otherwise=Edit("after", body.sources.get(""), f"{helper}({{target}})"),
    )  # fmt: skip
    number = whole_optimizer(body)
    if number is None:
        return made
    return Edit("before", body.sources.get(f"optimizer:{number}"), f"{helper}({{model}})", otherwise=made)


def whole_optimizer(body: Body) -> int | None:
    """The first optimizer, with a line that is known, that holds the model's parameters and no others."""
    own = {id(p) for p in body.model.parameters() if p.requires_grad}
    for number, optimizer in enumerate(body.optimizers):
        if held_by(optimizer) == own and f"optimizer:{number}" in body.sources:
            return number
    return None


def holds_in_order(body: Body, number: int) -> bool:
    """Whether an optimizer holds just the model's parameters, in the model's order: sums over them are then
    the same numbers to the last bit.
    """
    groups = body.optimizers[number].param_groups
    own = [id(p) for p in body.model.parameters()]
    return [id(p) for group in groups for p in group["params"]] == own


def held_by(optimizer: Optimizer) -> set[int]:
    """The ids of the parameters that an optimizer trains."""
    groups = optimizer.param_groups
    return {id(p) for group in groups for p in group["params"] if p.requires_grad}
