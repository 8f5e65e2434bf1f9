"""What `activation` did: other modules and functions where they are made and called, and the weights."""

import re
from collections.abc import Sequence
from typing import Any

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.draw import Drawn
from livegrad.treat.remedy import Change, Edit
from livegrad.treat.rewrite.compact import as_number
from livegrad.treat.rewrite.edits_of_draws import edits_of_draws
from livegrad.treat.swapped_calls import SwappedCalls
from livegrad.treat.tailored import Shape, Tailored

_TORCH, _NN, _F = "import torch", "from torch import nn", "import torch.nn.functional as F"
# As nn.Sequential's classes compute them: torch.relu is F.relu, torch.tanh is nn.Tanh.
_FUNCTIONS: dict[str, str] = {
    "Tanh": "torch.tanh", "ReLU": "torch.relu", "LeakyReLU": "F.leaky_relu", "ELU": "F.elu", "CELU": "F.celu",
    "SELU": "F.selu", "GELU": "F.gelu", "SiLU": "F.silu", "Mish": "F.mish", "Hardswish": "F.hardswish",
    "Softsign": "F.softsign", "Hardtanh": "F.hardtanh", "Sigmoid": "torch.sigmoid", "Softplus": "F.softplus",
}  # fmt: skip
_TIMES = re.compile(r"(\d+) of (\d+) times")
_SAYS = "Draw the weights anew, to match the activation."


def edits_of_activation(body: Body, choice: Choice, changes: Sequence[Change]) -> list[Edit]:
    """One edit for each line that makes or calls an activation, and the draws as a function."""
    swaps = [change for change in changes if not isinstance(change, Drawn)]
    edits: list[Edit] = []
    for change in swaps:
        edits += [e for e in _edits_of(body, change, swaps) if e not in edits]
    return [*edits, *edits_of_draws(body, choice, changes, "initialize", _SAYS)]


def _edits_of(body: Body, change: Change, swaps: Sequence[Change]) -> list[Edit]:
    kind, _, rest = change.what.partition(" ")
    called = "(call" in rest
    kept = _kept_calls(body, change, kind, swaps) if called else _kept_modules(body, change, kind, swaps)
    if kept is not None:
        return [Edit("instruction", change.source, f"{change.where}: {change.what}, and not {kept}")]
    new = _new_call(body, change) if called else body.model.get_submodule(change.where)
    if isinstance(new, Tailored):
        return _tailored(change, kind, new.shape, called)
    name = type(new).__name__
    if not called:
        code = f"nn.{name}()"
        chosen = Edit("replace-chosen", change.source, code, _others_made(body, change, swaps), (_NN,))
        return [Edit("replace-call", change.source, code, kind, (_NN,), otherwise=chosen)]
    code = f"{_FUNCTIONS[name]}({{input}})"
    return [Edit("replace-call", change.source, code, kind, (_needed(name),))]


def _needed(name: str) -> str:
    return _TORCH if _FUNCTIONS[name].startswith("torch.") else _F


def _kept_modules(body: Body, change: Change, kind: str, swaps: Sequence[Change]) -> str | None:
    """A module of this kind that the same line made and that stayed as it was."""
    where = {swap.where for swap in swaps}
    for name, module in body.model.named_modules():
        same = body.sources.get(name) == change.source is not None
        if same and name not in where and type(module).__name__ == kind:
            return name
    return None


def _others_made(body: Body, change: Change, swaps: Sequence[Change]) -> str:
    """The types of the modules that the same line made and that stayed as they were."""
    where = {swap.where for swap in swaps}
    made = [m for name, m in body.model.named_modules() if body.sources.get(name) == change.source is not None
            and name not in where]  # fmt: skip
    return ",".join(sorted({type(module).__name__ for module in made}))


def _kept_calls(body: Body, change: Change, call: str, swaps: Sequence[Change]) -> str | None:
    """Whether the line calls it more often, or in other modules, without its being replaced."""
    times = _TIMES.search(change.what)
    if times is not None and times[1] != times[2]:
        return f"the other {int(times[2]) - int(times[1])} of {times[2]} times"
    where = {swap.where for swap in swaps if swap.source == change.source}
    sites = body.sites if body.args is not None else ()
    left = [s for s in sites if s.source == change.source and s.call == call and s.owner not in where]
    return f"in {left[0].owner or 'the model itself'}" if left else None


def _new_call(body: Body, change: Change) -> Any:
    """The module that stands in the place of a call."""
    rewired: Any = body.model.get_submodule(change.where).__dict__.get("forward")
    while not isinstance(rewired, SwappedCalls):
        rewired = rewired.inner
    line = int((change.source or ":0").rpartition(":")[2])
    return next(swap.function for (at, _), swap in rewired.swaps.items() if at.number == line)


def _tailored(change: Change, kind: str, shape: Shape, called: bool) -> list[Edit]:
    """φ̂ as a function of its own, and as a module where modules are replaced."""
    name = f"tailored_{shape.base.lower()}"
    if shape.slope is not None:
        lines = [f"return {as_number(shape.gamma)} * F.leaky_relu(x, {as_number(shape.slope)})"]
        needed = _F
    else:
        inner = f"{as_number(shape.alpha)} * x{_added(shape.beta)}"
        needed = _needed(shape.base)
        lines = [
            f"y = {_FUNCTIONS[shape.base]}({inner})",
            f"return {as_number(shape.gamma)} * (y{_added(shape.delta)})",
        ]
    says = f"{shape.base}, scaled and shifted so that signals and gradients keep their size."
    if called:
        code = f'def {name}(x):\n    """{says}"""\n' + "".join(f"    {line}\n" for line in lines)
        edit = Edit("replace-call", change.source, f"{name}({{input}})", kind)
        return [Edit("define", None, code, imports=(needed,)), edit]
    title = f"Tailored{shape.base}"
    code = f'class {title}(nn.Module):\n    """{says}"""\n\n    def forward(self, x):\n'
    code += "".join(f"        {line}\n" for line in lines)
    edit = Edit("replace-call", change.source, f"{title}()", kind)
    return [Edit("define", None, code, imports=(_NN, needed)), edit]


def _added(value: float) -> str:
    return f" {'-' if value < 0 else '+'} {as_number(abs(value))}"
