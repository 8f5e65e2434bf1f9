"""What a model's modules are given and give back, and how they are run, on one batch."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.obstacle import packing_obstacle
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body

_NORMS = (
    nn.LayerNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


def shapes_of(body: Body, names: Iterable[str]) -> dict[str, tuple[torch.Size, torch.Size]]:
    """Return name -> (shape of the first argument, shape of the output) of the modules `names`, in order of
    their calls, in one forward pass on a copy; {} without a batch. A module that takes or gives no tensor is
    left out.
    """
    if body.args is None:
        return {}
    found: dict[str, tuple[torch.Size, torch.Size]] = {}

    def noted(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(args[0], Tensor) and isinstance(output, Tensor):
                found.setdefault(name, (args[0].shape, output.shape))

        return hook

    _run(body, names, noted, gradients=False)
    return found


def norms_behind(body: Body, names: Iterable[str]) -> dict[str, str]:
    """Return name -> the normalization that takes the output of the module `name` as it is, in one forward
    pass on a copy; {} without a batch.
    """
    if body.args is None:
        return {}
    wanted = set(names)
    norms = [name for name, module in body.model.named_modules() if isinstance(module, _NORMS)]
    given: dict[int, str] = {}
    alive: list[Tensor] = []
    found: dict[str, str] = {}

    def noted(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if name in wanted and isinstance(output, Tensor):
                given[id(output)] = name
                alive.append(output)
            elif args and id(args[0]) in given:
                found[given[id(args[0])]] = name

        return hook

    _run(body, [*wanted, *norms], noted, gradients=False)
    return found


def checkpointed_among(body: Body, names: Iterable[str]) -> str | None:
    """Return the first of the modules `names` that runs inside an activation checkpoint, or None."""
    found: list[str] = []

    def noted(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            # A reentrant checkpoint runs its segment without gradients, any other saves tensors its own way.
            if not torch.is_grad_enabled() or packing_obstacle()[1]:
                found.append(name)

        return hook

    _run(body, names, noted, gradients=True)
    return found[0] if found else None


def _run(body: Body, names: Iterable[str], noted: Callable[[str], Any], gradients: bool) -> None:
    """Run the forward pass once on a copy whose modules `names` have the hooks `noted(name)`."""
    assert body.args is not None
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    for name in names:
        twin.get_submodule(name).register_forward_hook(noted(name))
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.set_grad_enabled(gradients):
        twin(*body.args, **body.kwargs)
