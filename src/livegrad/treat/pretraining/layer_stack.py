"""A plain stack of linear layers with an activation behind each, as one forward pass on a batch shows it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.theory.activation import CATALOGUE
from livegrad.treat.body import Body

MOST_SAMPLES = 4096


@dataclass(frozen=True)
class StackLayer:
    """A hidden layer. name: of its module. activation: its name, and function: what it does to a tensor."""

    name: str
    linear: nn.Linear
    activation: str
    function: Callable[[Tensor], Tensor]


class NoStack(UsageError):
    """The model is no plain stack of linear layers; the message says what stands against it."""


def hidden_layers(body: Body) -> list[StackLayer]:
    """The stack's hidden layers in order, without the last layer, which gives the output.

    Raises NoStack, also where one layer's output is not what the next one takes.
    """
    parts = body.anatomy.parts
    modules = dict(body.model.named_modules())
    if any(part.kind in ("branch", "path") for part in parts):
        raise NoStack("it has paths side by side, and its layers cannot be trained one after the other")
    if any(part.kind == "time" for part in parts):
        raise NoStack("it is a loop over time")
    other = next((p for p in parts if not isinstance(modules.get(p.module or ""), nn.Linear)), None)
    if other is not None:
        raise NoStack(f"{other.name} is a {other.type}: only stacks of linear layers are supported")
    normalized = next((p for p in parts if p.normalization is not None), None)
    if normalized is not None:
        raise NoStack(f"{normalized.name} is normalized: its signal keeps its size without being pretrained")
    names = [part.module for part in parts]
    if len(set(names)) < len(names):
        raise NoStack("a layer is called more than once")
    layers = []
    for part in parts[:-1]:
        if part.activation not in CATALOGUE or not hasattr(nn, part.activation or ""):
            raise NoStack(f"{part.name} is followed by no activation that is known")
        linear = modules[part.module or ""]
        assert isinstance(linear, nn.Linear) and part.activation is not None
        layers.append(StackLayer(part.module or "", linear, part.activation, getattr(nn, part.activation)()))
    if len(layers) < 2:
        raise NoStack("it has fewer than two hidden layers, which need no training of their own")
    return layers


def first_inputs(body: Body, layers: Sequence[StackLayer]) -> Tensor:
    """What the first layer is given, samples × features, on the batch and on more batches if there are.

    Raises NoStack where the layers do not feed one another.
    """
    assert body.args is not None
    found: list[Tensor] = []
    with _watched(body, layers) as (run, seen):
        batches: Iterator[Any] = iter(body.more()) if body.more is not None else iter(())
        run(body.args, dict(body.kwargs))
        _check_chain(layers, seen)
        found.append(seen[layers[0].name][0])
        while sum(map(len, found)) < MOST_SAMPLES and (batch := next(batches, None)) is not None:
            run(batch if isinstance(batch, tuple) else (batch,), {})
            found.append(seen[layers[0].name][0])
    return torch.cat(found)[:MOST_SAMPLES]


@contextmanager
def _watched(
    body: Body, layers: Sequence[StackLayer]
) -> Iterator[tuple[Callable[..., None], dict[str, Any]]]:
    """Yield a function that runs a copy of the model, and what each layer was given and gave last."""
    try:
        twin = make_twin(body.model).eval()
    except CannotCopy as error:
        raise NoStack(f"the model cannot be examined: {error}") from error
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def noted(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            seen[name] = _rows(args[0]), _rows(output)

        return hook

    for layer in layers:
        twin.get_submodule(layer.name).register_forward_hook(noted(layer.name))

    def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        twin(*args, **kwargs)

    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.no_grad():
        yield run, seen


def _rows(x: Tensor) -> Tensor:
    return x.detach().reshape(-1, x.shape[-1])


def _check_chain(layers: Sequence[StackLayer], seen: dict[str, tuple[Tensor, Tensor]]) -> None:
    for layer, following in pairwise(layers):
        expected, given = layer.function(seen[layer.name][1]), seen[following.name][0]
        if expected.shape != given.shape or not torch.allclose(expected, given, rtol=1e-3, atol=1e-4):
            raise NoStack(f"{following.name} is not given what {layer.name} and {layer.activation} make")
