"""Other number formats, as lines of a program."""

from collections.abc import Collection, Sequence

import torch

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.formats.edits_of_half import edits_of_autocast, edits_of_bfloat16
from livegrad.treat.formats.wide_steps import WIDER
from livegrad.treat.remedy import Change, Edit

_MASTERS = '''\
def step_in_WIDE(optimizer):
    """Step on WIDE copies, which keep what the weights' own format rounds away."""
    masters = vars(optimizer).setdefault("masters", {})
    lent = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None and p.dtype in (NARROW):
                lent.append((p, p.data, p.grad))
                p.grad = None
                p.data = masters.get(p, lent[-1][1].to(torch.WIDE))
                p.grad = lent[-1][2].to(torch.WIDE)
    optimizer.step()
    for p, narrow, gradient in lent:
        masters[p] = p.data
        p.grad = None
        p.data = narrow.copy_(masters[p])
        p.grad = gradient
'''


def edits_of(
    body: Body, choice: Choice, changes: Sequence[Change], narrow: Collection[torch.dtype] = ()
) -> list[Edit]:
    """The edits for each optimizer of the body; what is no edit, as an instruction. narrow: the formats of
    the weights whose steps are made in a wider one; the program may be ended in the middle of such a step.
    """
    torch_import = ("import torch",)
    if choice.variant == "eps" and "eps" in choice.options:
        return [Edit("argument", c.source, repr(float(choice.options["eps"])), "eps") for c in changes]
    if choice.variant == "master" and narrow and "scaler" not in body.sources:
        return _steps_on_masters(body, narrow)
    if choice.variant == "scale" and len(body.optimizers) == 1:
        device = next((p.device.type for p in body.model.parameters()), "cuda")
        first = choice.options.get("first")
        begin = "" if first is None else f", init_scale={float(first):g}"
        sources = body.sources
        made = f'scaler = torch.amp.GradScaler("{device}"{begin})'
        kind = type(body.optimizers[0]).__name__
        return [
            Edit("after", sources.get("optimizer:0"), made, kind, torch_import),
            Edit(
                "replace-call",
                sources.get("backward"),
                "scaler.scale({receiver}).backward({arguments})",
                "backward",
            ),
            Edit("replace-call", sources.get("step:0"), "scaler.step({receiver})", "step"),
            Edit("after", sources.get("step:0"), "scaler.update()", "step"),
        ]
    if choice.variant == "autocast":
        return edits_of_autocast(body, sorted({p.device.type for p in body.model.parameters()})[0])
    found = edits_of_bfloat16(body.sources) if choice.variant == "bfloat16" else []
    return found or [Edit("instruction", c.source, _instruction(choice, c)) for c in changes]


def _steps_on_masters(body: Body, narrow: Collection[torch.dtype]) -> list[Edit]:
    """A function that makes the step on wide copies, in the place of each optimizer's step."""
    wide = str(next(WIDER[dtype] for dtype in narrow)).removeprefix("torch.")
    formats = ", ".join(sorted(str(dtype) for dtype in narrow)) + ("," if len(narrow) == 1 else "")
    name, imports = f"step_in_{wide}", ("import torch",)
    code = _MASTERS.replace("WIDE", wide).replace("NARROW", formats)
    steps = [body.sources.get(f"step:{i}") for i, _ in enumerate(body.optimizers)]
    return [
        Edit("define", None, code, name, imports),
        *(Edit("replace-call", step, f"{name}({{receiver}})", "step", imports) for step in steps),
    ]


def _instruction(choice: Choice, change: Change) -> str:
    if choice.variant == "bfloat16":
        return "autocast to bfloat16: torch.autocast(…, dtype=torch.bfloat16)"
    if choice.variant == "scale":
        return "scale the loss: torch.amp.GradScaler around backward and step"
    return f"{change.where}: {change.what}"
