"""Bare parameters that were drawn anew, as a helper function that finds them by name and draws them again."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.draw import Drawn, generator_code
from livegrad.treat.remedy import Edit
from livegrad.treat.rewrite.anchor import on_model
from livegrad.treat.rewrite.compact import wrapped

_WIDEST = 84


def edits_of_bare(body: Body, choice: Choice, changes: Sequence[Drawn], helper: str, says: str) -> list[Edit]:
    """A function `helper` for these changes of whole parameters, what it `says`, and its call."""
    if not changes:
        return []
    lines = [f"def {helper}(model):", f'    """{says}"""']
    if any("generator=generator" in line for change in changes for line in change.code):
        lines.append(f"    {generator_code(choice)}")
    lines.append("    parameters = dict(model.named_parameters())")
    lines += [f"    {line}" for line in _drawn(body, changes)]
    code = "\n".join([*lines, "    return model"]) + "\n"
    return [
        Edit("define", None, code, imports=("import torch", "from torch import nn")),
        *on_model(body, helper),
    ]


def _drawn(body: Body, changes: Sequence[Drawn]) -> Iterator[str]:
    for code, alike in groupby(changes, key=lambda change: change.code):
        group = list(alike)
        names = ", ".join(f'"{change.where}"' for change in group)
        begin = f"for name in ({names},):"
        if len(begin) > _WIDEST:
            yield from wrapped("names = [", names, "]")
            begin = "for name in names:"
        yield begin
        exact = all(_is_exact(body.model.get_parameter(change.where)) for change in group)
        target = "parameters[name]" if exact else "new"
        if not exact:
            yield "    new = parameters[name].detach().cpu().float()"
        for line in code:
            yield f"    {line}".replace("{tensor}", target).replace("\n", "\n    ")
        if not exact:
            yield "    parameters[name].data.copy_(new)"


def _is_exact(parameter: Tensor) -> bool:
    """Whether it can be drawn in place: draws come from the CPU in single precision."""
    return parameter.device.type == "cpu" and parameter.dtype in (torch.float32, torch.float64)
