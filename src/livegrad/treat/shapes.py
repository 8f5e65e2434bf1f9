"""The shapes that a model's modules are given and give back, on one batch."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body


def shapes_of(body: Body, names: Iterable[str]) -> dict[str, tuple[torch.Size, torch.Size]]:
    """Return name -> (shape of the first argument, shape of the output) of the modules `names`, in order of
    their calls, in one forward pass on a copy; {} without a batch. A module that takes or gives no tensor is
    left out.
    """
    if body.args is None:
        return {}
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    found: dict[str, tuple[torch.Size, torch.Size]] = {}

    def noted(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
                found.setdefault(name, (args[0].shape, output.shape))

        return hook

    for name in names:
        twin.get_submodule(name).register_forward_hook(noted(name))
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.no_grad():
        twin(*body.args, **body.kwargs)
    return found
