"""An operation written out in a module of its own (1 / (1 + exp(−x)) in a class Logistic), taken out whole.

module(x) → x · rms y / rms x        what goes in is passed on at the size that came out
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from livegrad.probe.intervention.removal import at_the_size_of


def pass_by(model: nn.Module, names: Sequence[str]) -> bool:
    """Make the modules `names` of `model` pass on what they are given; False, and nothing is changed, unless
    all of them have neither parts nor weights.
    """
    modules = dict(model.named_modules())
    found = [modules[name] for name in names if name in modules]
    if not found or len(found) < len(names) or any(_holds_something(module) for module in found):
        return False
    for module in found:
        module.register_forward_hook(_passed_on)
    return True


def _holds_something(module: nn.Module) -> bool:
    return next(module.children(), None) is not None or next(module.parameters(), None) is not None


def _passed_on(module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    given = next((x for x in args if isinstance(x, Tensor)), None)
    return output if given is None else at_the_size_of(output, given)
