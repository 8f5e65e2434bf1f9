"""What `regularize` did, as lines of the program."""

from collections.abc import Sequence

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.weight_bounds.matrices import matrices_of


def edits_of(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """The edits for each optimizer of the body."""
    if choice.variant == "decay":
        return _decay_edits(body, choice, changes)
    if choice.variant == "l1" and "strength" in choice.options and not choice.options.get("only"):
        return [_l1_edit(body, float(choice.options["strength"]))]
    named = ", ".join(c.where for c in changes[:3]) + (" and others" if len(changes) > 3 else "")
    return [Edit("instruction", body.sources.get("step:0"), f"behind the step, {named}: {changes[0].what}")]


def _decay_edits(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    edits: list[Edit] = []
    tables = not choice.options.get("embeddings") and len(matrices_of(body, True)) > len(matrices_of(body))
    for i, optimizer in enumerate(body.optimizers):
        source = body.sources.get(f"optimizer:{i}")
        mine = [c for c in changes if c.where.startswith(f"optimizer {i}")]
        groups = optimizer.param_groups
        trained = sum(len(g["params"]) for g in groups)
        whole = trained == len(list(body.model.parameters())) and len(groups) <= 2 and not tables
        if not mine:
            continue
        if not whole or choice.options.get("only") or "weight_decay" not in groups[0]:
            text = "; ".join(f"{c.where}: {c.what}" for c in mine)
            edits.append(Edit("instruction", source, f"weight decay on matrices alone: {text}"))
            continue
        code = (
            '[{"params": [p for p in {model}.parameters() if p.ndim >= 2], '
            f'"weight_decay": {groups[0]["weight_decay"]:g}}}, '
            '{"params": [p for p in {model}.parameters() if p.ndim < 2], "weight_decay": 0.0}]'
        )
        edits.append(Edit("argument", source, code, "params"))
        if any("AdamW" in c.what for c in mine):
            edits.append(Edit("argument", source, "True", "decoupled_weight_decay"))
    return edits


def _l1_edit(body: Body, strength: float) -> Edit:
    code = (
        "with torch.no_grad():\n"
        "    for group in {receiver}.param_groups:\n"
        '        for p in group["params"]:\n'
        "            if p.ndim >= 2 and p.grad is not None:\n"
        f'                p.copy_(torch.nn.functional.softshrink(p, group["lr"] * {strength:g}))'
    )
    return Edit("after", body.sources.get("step:0"), code, "step", ("import torch",))
