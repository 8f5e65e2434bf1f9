"""The arguments that a live model's activation functions are given on one batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState
from livegrad.probe.twin import CannotCopy, make_twin

# Of each call at most so many entries are kept, evenly spaced.
MOST_VALUES = 100_000
# Functions by the name that torch gives them, as the catalogue of theory knows them.
_NAMES = {
    "relu": "ReLU",
    "threshold": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "celu": "CELU",
    "selu": "SELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "tanh": "Tanh",
    "hardtanh": "Hardtanh",
    "hardswish": "Hardswish",
    "softplus": "Softplus",
    "sigmoid": "Sigmoid",
    "hardsigmoid": "Hardsigmoid",
    "logsigmoid": "LogSigmoid",
    "log_sigmoid": "LogSigmoid",
    "softsign": "Softsign",
    "tanhshrink": "Tanhshrink",
    "softshrink": "Softshrink",
}


@dataclass(frozen=True)
class Arguments:
    """What one activation function of a model is given. values: of all its calls together, float64, (N,).

    layers: the modules that call it, in their order.
    """

    activation: str
    layers: tuple[str, ...]
    values: np.ndarray


def arguments_of(model: nn.Module, inputs: Any) -> list[Arguments]:
    """Return the arguments of each activation function in one forward pass, the first called first.

    inputs: a tensor, a tuple of arguments, or a mapping of keyword arguments. Calls of modules, of functions
    and of tensors' methods are all seen. The pass runs on a copy without gradients: the model, its buffers
    and the random states stay as they are. Raises UsageError where the model cannot be copied.
    """
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    state = RandomState.now(devices)
    try:
        twin = make_twin(model)
        return _seen(twin, inputs)
    except CannotCopy as error:
        raise UsageError(f"{error}: its activations cannot be looked at on the side") from error
    finally:
        state.restore()


class _Listen(TorchFunctionMode):
    """Keeps what every activation function is given, before it may be overwritten in place."""

    def __init__(self, modules: dict[nn.Module, str]) -> None:
        super().__init__()
        self.modules = modules
        self.inside: list[str] = []
        self.found: dict[str, tuple[list[str], list[Tensor]]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = _NAMES.get(getattr(func, "__name__", "").rstrip("_"))
        given = args[0] if args else (kwargs or {}).get("input")
        if name is not None and isinstance(given, Tensor) and given.is_floating_point():
            layers, values = self.found.setdefault(name, ([], []))
            layers.append(self.inside[-1] if self.inside and self.inside[-1] else name.lower())
            values.append(_thinned(given))
        return func(*args, **(kwargs or {}))

    def enter(self, module: nn.Module, args: Any) -> None:
        self.inside.append(self.modules[module])

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.inside.pop()


def _seen(model: nn.Module, inputs: Any) -> list[Arguments]:
    listen = _Listen({module: name for name, module in model.named_modules()})
    for module in listen.modules:  # a copy's own: nobody else runs them
        module.register_forward_pre_hook(listen.enter)
        module.register_forward_hook(listen.leave)
    with torch.no_grad(), listen:
        _call(model, inputs)
    return [
        Arguments(name, tuple(dict.fromkeys(layers)), torch.cat(values).double().cpu().numpy())
        for name, (layers, values) in listen.found.items()
    ]


def _call(model: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(*inputs) if isinstance(inputs, tuple) and not hasattr(inputs, "_fields") else model(inputs)


def _thinned(values: Tensor) -> Tensor:
    flat = values.detach().reshape(-1)
    return flat[:: -(-flat.numel() // MOST_VALUES) or 1].float().clone()
