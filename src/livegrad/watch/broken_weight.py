"""A weight that is not finite before anything has been computed with it: which update made it so, or whose
gradient had been broken unseen.
"""

import math
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from livegrad.probe.forensics.finding_out import Found
from livegrad.probe.forensics.operand import Operand, describe, flaw
from livegrad.probe.source import shown_path, user_line
from livegrad.watch.subject import parameters_of


class Stepped:
    """The optimizers that have stepped, and from which lines.

    gradient_was_finite: what was seen of the gradient before the last step.
    """

    def __init__(self) -> None:
        self.gradient_was_finite = False
        self._optimizers: dict[int, weakref.ref[Any]] = {}
        self._lines: dict[int, tuple[str, int] | None] = {}

    def __len__(self) -> int:
        return len(self._optimizers)

    def note(self, optimizer: Any) -> None:
        """An optimizer is about to step, called from the user's line that is running."""
        known = self._optimizers.get(id(optimizer))
        if known is None or known() is not optimizer:
            self._optimizers[id(optimizer)] = weakref.ref(optimizer)
            self._lines[id(optimizer)] = user_line()

    def holding(self, parameter: Tensor) -> Any:
        """The optimizer that holds a parameter; None if none in sight does."""
        alive = (optimizer for reference in self._optimizers.values() if (optimizer := reference()))
        return next((o for o in alive if any(p is parameter for p in parameters_of(o))), None)

    def line_of(self, optimizer: Any) -> str | None:
        """Where it stepped first ("file:line"); None if unknown."""
        line = self._lines.get(id(optimizer))
        return None if line is None else f"{shown_path(line[0])}:{line[1]}"

    def had_finite_gradient(self, optimizer: Any, parameter: Tensor) -> bool | None:
        """Whether the last gradient of `parameter` was finite; None if nothing tells."""
        if parameter.grad is not None:
            return not flaw(parameter.grad)
        state = optimizer.state.get(parameter, {})
        for key in ("exp_avg", "momentum_buffer"):
            if isinstance(state.get(key), Tensor):
                return not flaw(state[key])
        return True if self.gradient_was_finite else None


def broken_weight(modules: Iterable[nn.Module], stepped: Stepped, steps: int) -> Found | None:
    """What made a weight of one of these modules not finite, the first that has such a one; None if all are
    finite. steps: how many have been taken.
    """
    for module in {id(module): module for module in modules}.values():
        bad = [(name, p) for name, p in module.named_parameters() if flaw(p)]
        if bad:
            return _made_by(module, bad, stepped, steps)
    return None


def _made_by(module: nn.Module, bad: Sequence[tuple[str, Tensor]], stepped: Stepped, steps: int) -> Found:
    name, parameter = bad[0]
    operand, made = describe(f"parameter {name}", parameter), flaw(parameter)
    many = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    optimizer = stepped.holding(parameter)
    if not steps or optimizer is None:
        when = "when the step began; no optimizer in sight holds it" if steps else "before the first step"
        note = f"{name}{many} was not finite {when}"
        return Found("weight", None, None, None, made, (operand,), note=note, owner=module)
    kind, finite = type(optimizer).__name__, stepped.had_finite_gradient(optimizer, parameter)
    source = stepped.line_of(optimizer)
    operands = (operand, *_settings(optimizer, parameter))
    if finite is False:
        note = f"the gradient of {name}{many} was not finite when {kind} applied it, unseen"
        return Found("weight", kind, None, source, made, operands, (), False, note, module)
    note = f"{kind}'s update made {name}{many} not finite, from a finite gradient"
    return Found("update", kind, None, source, made, operands, (), finite is True, note, module)


def _settings(optimizer: Any, parameter: Tensor) -> tuple[Operand, ...]:
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    found = []
    for key in ("lr", "eps"):
        value = group.get(key)
        if isinstance(value, (int, float)):
            finite = math.isfinite(value)
            number = float(value) if finite else None
            found.append(Operand(key, (), "float", number, number, 0 if finite else 1))
    return tuple(found)
