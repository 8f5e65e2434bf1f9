"""Gates written by hand: which of them keeps the state, and what its bias is to be, found by trying each.

A gate may keep the state near one (z h + (1 − z) n, f c + i g) or near zero ((1 − z) h + z n), and may be a
layer of its own or a part of one. So each is held open and shut on a copy, and the one is taken that lets
most of the gradient reach the first step.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import log, log10

import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.stand_in import stand_in_loss
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body
from livegrad.treat.recurrence.layers import RecurrentLayer
from livegrad.treat.recurrence.loops import looped_linear, run_loop

# What a bias has to bring, in decades over the sequence, to be taken for the one that keeps the state.
_WORTH = 1.0
_MOST_PARTS = 4


@dataclass(frozen=True)
class HandGate(RecurrentLayer):
    """A layer of a loop whose outputs, the rows from first to last (not included), are a gate. held: the bias
    at which it keeps the state. before, after: what of a gradient reaches the first of the steps, now and so.
    beside: the other layers of the loop that give as many numbers as the state has, or several times as many.
    """

    rows: tuple[int, int] = (0, 0)
    held: float = 0.0
    before: float = 0.0
    after: float = 0.0
    beside: tuple[tuple[str, nn.Linear], ...] = ()

    @property
    def own_bias(self) -> Tensor:
        """The bias of the whole layer."""
        bias = self.module.bias
        assert isinstance(bias, Tensor)
        return bias

    def factor(self, share: float) -> float:
        """Per step, of what reaches the first."""
        return share ** (1 / max(1, (self.steps or 1) - 1))


def hand_gates(body: Body, span: int | None) -> list[RecurrentLayer]:
    """The gate that keeps the state, if one does; [] without gates in a loop. span: the steps to keep it for,
    by default those of the batch.
    """
    key = ("gate of a loop", span)
    if key not in body.memory:
        body.memory[key] = list(_found(body, span))
    return body.memory[key]


def _found(body: Body, span: int | None) -> Iterator[RecurrentLayer]:
    linear = looped_linear(body)
    if not linear or not any(site.gate and site.reused for site in body.sites):
        return
    parts = list(_parts(body, linear))
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    layers = {name: twin.get_submodule(name) for name in linear}
    before, calls = _reach(body, twin, layers)
    steps = span or calls
    size = float(f"{log(max(steps, 3) - 1):.3g}")
    best, after = None, before
    for name, rows in parts:
        for held in (size, -size):
            with _held(layers[name], rows, held):
                share, _ = _reach(body, twin, layers)
            if share > after:
                best, after = (name, rows, held), share
    if best is not None and log10(after / max(before, 1e-300)) >= _WORTH:
        name, rows, held = best
        beside = tuple(
            (n, linear[n]) for n in linear if n != name and not linear[n].out_features % (rows[1] - rows[0])
        )
        yield HandGate(name, linear[name], "gate", steps, 1.0, rows, held, before, after, beside)


def _parts(body: Body, linear: Mapping[str, nn.Linear]) -> Iterator[tuple[str, tuple[int, int]]]:
    """(layer, rows) of what may be a gate: as many rows as there are units of the state."""
    usual = run_loop(body, linear, None)
    for name, module in linear.items():
        if module.bias is None:
            continue
        sizes = [_differing(usual[n].last, run_loop(body, linear, name)[n].last) for n in linear]
        units = next(
            (size for size in sizes if size and module.out_features % size == 0), module.out_features
        )
        if module.out_features // units > _MOST_PARTS:
            continue
        for first in range(0, module.out_features, units):
            yield name, (first, first + units)


def _differing(usual: Tensor | None, other: Tensor | None) -> int:
    if usual is None or other is None or usual.shape != other.shape:
        return 0
    return int((usual != other).flatten(0, -2).any(0).sum())


@contextmanager
def _held(layer: nn.Module, rows: tuple[int, int], bias: float) -> Iterator[None]:
    tensor = layer.bias
    assert isinstance(tensor, Tensor)
    old = tensor.detach().clone()
    with torch.no_grad():
        tensor[rows[0] : rows[1]] = bias
    try:
        yield
    finally:
        with torch.no_grad():
            tensor.copy_(old)


@dataclass
class _Noted:
    into: list[Tensor]

    def __call__(self, module: nn.Module, args: object, output: Tensor) -> None:
        self.into.append(output)


def _reach(body: Body, twin: nn.Module, layers: Mapping[str, nn.Module]) -> tuple[float, int]:
    """‖gradient‖ at what the layers of the loop give first, over that at what they give last; and how often
    they are called.
    """
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}
    hooks = [layer.register_forward_hook(_Noted(outputs[name])) for name, layer in layers.items()]
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    try:
        with replayed(RandomState.now(devices)), torch.enable_grad():
            loss = stand_in_loss(output_tensors(twin(*(body.args or ()), **body.kwargs)))
            calls = min((len(given) for given in outputs.values()), default=0)
            if loss is None or calls < 2:
                return 0.0, calls
            ends = [given[place] for given in outputs.values() for place in (0, -1)]
            gradients = torch.autograd.grad(loss, ends, allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    first, last = (
        sum(float(g.double().square().sum()) for g in gradients[place::2] if g is not None)
        for place in (0, 1)
    )
    return ((first / last) ** 0.5 if last > 0 else 0.0), calls
