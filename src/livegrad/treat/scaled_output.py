"""A layer whose output is divided by a number: LayerNorm(αx + f(x)) = LayerNorm(x + f(x)/α), but for ε."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from livegrad.treat.swapped_calls import Rewired


class DividedOutput(Rewired):
    """A module that gives its output (the first of several) divided by `divisor`."""

    def __init__(self, module: nn.Module, divisor: float) -> None:
        super().__init__(module)
        self.divisor = divisor

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self.run(*args, **kwargs)
        if isinstance(output, Tensor):
            return output / self.divisor
        return (output[0] / self.divisor, *output[1:])


def no_fast_path(model: nn.Module) -> Callable[[], None]:
    """Have torch's encoder layers run as they are written in evaluation too, and return how to undo that.

    Their fast path takes the weights of its modules without calling them.
    """
    kept: list[tuple[nn.Module, str, Any]] = []
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder):
            kept.append((module, "use_nested_tensor", module.use_nested_tensor))
            module.use_nested_tensor = False
        if isinstance(module, nn.TransformerEncoderLayer):
            kept.append((module, "activation_relu_or_gelu", module.activation_relu_or_gelu))
            module.activation_relu_or_gelu = 0

    def undo() -> None:
        for module, name, value in kept:
            setattr(module, name, value)

    return undo
