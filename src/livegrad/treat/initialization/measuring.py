"""Running the live model once to measure, and leaving it as it was."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from livegrad.probe.random_state import RandomState, replayed
from livegrad.treat.body import Body


class _Enough(Exception):
    """What was to be seen has been seen."""


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back the modes, the buffers and the random states of `model` afterwards; no gradients within."""
    training = {m: m.training for m in model.modules()}
    buffers = {b: b.clone() for b in model.buffers()}
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    try:
        with torch.no_grad(), replayed(RandomState.now(devices)):
            yield
    finally:
        for module, mode in training.items():
            module.training = mode
        with torch.no_grad():
            for buffer, kept in buffers.items():
                buffer.copy_(kept)


def input_power(body: Body, module: nn.Module) -> float:
    """Return E x² of what `module` is given; 1 without a batch, or where it is given no tensor."""
    if body.args is None:
        return 1.0
    found: list[float] = []

    def seen(module: nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], torch.Tensor):
            found.append(float(args[0].detach().double().square().mean()))
        raise _Enough

    handle = module.register_forward_pre_hook(seen)
    try:
        with undisturbed(body.model):
            body.model(*copy.deepcopy(body.args), **copy.deepcopy(dict(body.kwargs)))
    except _Enough:
        pass
    finally:
        handle.remove()
    return found[0] if found and found[0] > 0 else 1.0
