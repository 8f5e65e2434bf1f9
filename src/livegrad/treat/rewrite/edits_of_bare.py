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

_NAMES = 64


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
        group = [change.where for change in alike]
        names = ", ".join(f'"{name}"' for name in group)
        indent, one = "    ", "name"
        if len(group) == 1:
            indent, one = "", names
        elif len(names) > _NAMES:
            yield from wrapped("names = [", names, "]")
            yield "for name in names:"
        else:
            yield f"for name in ({names}):"
        lines = [line.replace("\n", f"\n{indent}") for line in code]
        if all(_is_exact(body.model.get_parameter(name)) for name in group):
            yield from (f"{indent}{line}".replace("{tensor}", f"parameters[{one}]") for line in lines)
            continue
        yield f"{indent}new = parameters[{one}].detach().cpu().float()"
        yield from (f"{indent}{line}".replace("{tensor}", "new") for line in lines)
        yield f"{indent}parameters[{one}].data.copy_(new)"


def _is_exact(parameter: Tensor) -> bool:
    """Whether it can be drawn in place: draws come from the CPU in single precision."""
    return parameter.device.type == "cpu" and parameter.dtype in (torch.float32, torch.float64)
