"""Where in a program a helper is called on the finished model: as late as possible before it trains.

In front of the statement that makes its optimizer: by then it has been drawn, loaded and moved. Where no
optimizer holds just this model, or the program keeps a copy of it, around the call that makes the model.
"""

from torch.optim import Optimizer

from livegrad.treat.body import Body
from livegrad.treat.remedy import Edit


def on_model(body: Body, helper: str) -> list[Edit]:
    """Edits that call `helper(model)`, which returns the model, before training."""
    copies = {line for name, line in body.sources.items() if name.startswith("copy:")}
    number = None if copies else whole_optimizer(body)
    made = _around(body, body.sources.get(""), helper)
    if number is None:
        others = sorted(copies - {"", body.sources.get("")})
        return [made, *(_around(body, line, helper) for line in others)]
    source = body.sources.get(f"optimizer:{number}")
    # What an optimizer holds may be all that is trained, and a part of the model all the same.
    frozen = any(not p.requires_grad for p in body.model.parameters())
    word = "root" if frozen else "model"
    return [Edit("before", source, f"{helper}({{{word}}})", otherwise=made)]


def _around(body: Body, line: str | None, helper: str) -> Edit:
    below = Edit("after", line, f"{helper}({{target}})")
    return Edit("wrap", line, f"{helper}({{call}})", type(body.model).__name__, otherwise=below)


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
