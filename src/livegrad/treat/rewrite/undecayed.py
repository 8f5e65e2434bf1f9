"""New parameters that are trained without weight decay: a group of their own, at the optimizer."""

from collections.abc import Sequence

from torch import Tensor

from livegrad.treat.body import Body
from livegrad.treat.remedy import Edit

_HELPER = '''def without_decay(optimizer, parameters):
    """Train `parameters` in a group of their own, without weight decay."""
    apart = {id(p) for p in parameters}
    for group in list(optimizer.param_groups):
        moved = [p for p in group["params"] if id(p) in apart]
        if moved and group["weight_decay"]:
            group["params"] = [p for p in group["params"] if id(p) not in apart]
            optimizer.add_param_group({**group, "params": moved, "weight_decay": 0.0})
    return optimizer
'''


def edits_without_decay(body: Body, parameters: Sequence[Tensor], chosen: str) -> list[Edit]:
    """Edits that leave `parameters` undecayed where the treatment did so; chosen: an expression for them, in
    terms of {model}.
    """
    new = {id(p) for p in parameters}
    for number, optimizer in enumerate(body.optimizers):
        groups = [g for g in optimizer.param_groups if any(id(p) in new for p in g["params"])]
        others = [g for g in optimizer.param_groups if not any(g is own for own in groups)]
        if groups and not groups[0].get("weight_decay") and any(g.get("weight_decay") for g in others):
            source = body.sources.get(f"optimizer:{number}")
            kind = type(optimizer).__name__
            around = Edit("wrap", source, f"without_decay({{call}}, {chosen})", kind)
            below = Edit("after", source, f"without_decay({{target}}, {chosen})", kind, otherwise=around)
            return [Edit("define", None, _HELPER), below]
    return []
