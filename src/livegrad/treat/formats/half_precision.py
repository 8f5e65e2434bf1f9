"""float16 replaced by bfloat16, whose range is float32's: in autocast, or in a model cast to half."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_AUTOCAST = torch.amp.autocast_mode.autocast


def autocast_in_bfloat16(devices: set[str]) -> Callable[[], None]:
    """Have every autocast to float16 use bfloat16, one that is open already too; returns what undoes it."""
    original = vars(_AUTOCAST)["__enter__"]
    active = [True]

    @functools.wraps(original)
    def __enter__(self: Any) -> Any:
        if active[0] and self.fast_dtype is torch.float16:
            self.fast_dtype = torch.bfloat16
        return original(self)

    _AUTOCAST.__enter__ = __enter__
    opened = [d for d in devices if opened_in_float16(d)]
    for device in opened:
        torch.set_autocast_dtype(device, torch.bfloat16)

    def undo() -> None:
        active[0] = False
        if vars(_AUTOCAST)["__enter__"] is __enter__:
            _AUTOCAST.__enter__ = original
        for device in opened:
            if torch.is_autocast_enabled(device):
                torch.set_autocast_dtype(device, torch.float16)

    return undo


def opened_in_float16(device: str) -> bool:
    """Whether autocast to float16 is on at this moment."""
    return torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) is torch.float16


class Autocast:
    """Runs a model whose weights are float32 under autocast to bfloat16: what is given to it in half
    precision is taken in float32, and so is what it gives back.
    """

    def __init__(self, model: nn.Module, device: str) -> None:
        self._model = model
        self._device = device

    def attach(self) -> Callable[[], None]:
        """Stand in for the model's `forward`; returns what takes it away."""
        held = vars(self._model).get("forward")
        self._model.forward = self  # type: ignore[assignment]

        def undo() -> None:
            if held is None:
                vars(self._model).pop("forward", None)
            else:
                self._model.forward = held

        return undo

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = _wide(args), _wide(kwargs)
        with torch.autocast(self._device, dtype=torch.bfloat16):
            output = type(self._model).forward(self._model, *args, **kwargs)
        return _wide(output)


def widen(model: nn.Module) -> Callable[[], None]:
    """Keep the model's float16 and bfloat16 weights and buffers in float32; returns what undoes it.

    Parameters stay the same objects, so that optimizers keep holding them; gradients are dropped.
    """
    undoing: list[Callable[[], None]] = []
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.dtype in (torch.float16, torch.bfloat16):
            undoing.append(functools.partial(_narrow_again, tensor, tensor.data))
            tensor.grad = None
            tensor.data = tensor.data.float()

    def undo() -> None:
        for each in undoing:
            each()

    return undo


def _narrow_again(tensor: Tensor, old: Tensor) -> None:
    tensor.grad = None
    tensor.data = old


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, dict):
        return {key: _wide(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [_wide(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
