"""Plain recurrences written by hand: linear layers that a loop gives again what they gave before.

Which inputs of a layer are the state is found by changing the layer a little: in a later call those inputs
differ that its earlier outputs went into, and no others. What else feeds the state are the layers whose
outputs are added to its own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.theory.activation import named
from livegrad.treat.body import Body
from livegrad.treat.recurrence.layers import RecurrentLayer

# Copies that are run: one for each layer of a loop.
_MOST_LAYERS = 16
_CHANGE = 0.03
_FLAT = 0.9
_SUMS = ("AddBackward0", "SubBackward0")


@dataclass(frozen=True)
class LoopedLayer(RecurrentLayer):
    """The linear layer of a plain recurrence. columns: first and last (not included) of the inputs that are
    the state. feeds: the layers whose outputs are added to its own. driven: mean square of what they, its
    bias and its other inputs add. activation: what the sum goes through, None for nothing that is known.
    """

    columns: tuple[int, int] = (0, 0)
    feeds: tuple[tuple[str, nn.Linear], ...] = ()
    driven: float = 0.0
    activation: str | None = None

    @property
    def rectified(self) -> bool:
        return self.activation == "ReLU"

    @property
    def damps(self) -> bool:
        """Whether the activation passes back less than it is given even at rest: a sigmoid's slope is 1/4."""
        return self.activation is not None and float(named(self.activation).slope(np.zeros(1))[0]) < _FLAT

    def tensors(self, prefix: str) -> list[tuple[str, Tensor]]:
        """Its weights count as weight_hh."""
        return [("weight", self.weight)] if prefix == "weight_hh" else []

    @property
    def weight(self) -> Tensor:
        """Weights of the state, and of what else the layer is given."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def gain(self) -> float:
        """σ_w of the weights of the state."""
        first, last = self.columns
        return sqrt(float(self.weight.detach().double()[:, first:last].square().mean()) * (last - first))

    @property
    def drive(self) -> float:
        return self.driven

    @property
    def bias(self) -> float:
        return 0.0


def looped_layers(body: Body, steps: int | None) -> list[RecurrentLayer]:
    """The linear layers whose state comes back to them; [] without a batch, and where gates hold the state.
    steps: to take for what the batch has.
    """
    linear = looped_linear(body)
    if not linear or any(site.gate and site.reused for site in body.sites):
        return []
    parts = {part.module: part for part in body.anatomy.parts if part.kind == "time"}
    usual = run_loop(body, linear, None)
    found: list[RecurrentLayer] = []
    for name, module in linear.items():
        columns = _state(module, usual[name].last, run_loop(body, linear, name)[name].last)
        if columns is None or usual[name].calls < 2:
            continue
        feeds = tuple((n, linear[n]) for n in linear if n != name and n in usual[name].added)
        driven = sum(usual[n].power for n, _ in feeds) + _own_drive(module, columns, usual[name].last)
        seen = usual[name].calls if steps is None else steps
        kind = parts[name].activation
        found.append(LoopedLayer(name, module, "RNN", seen, 1.0, columns, feeds, driven, kind))
    return found


def looped_linear(body: Body) -> dict[str, nn.Linear]:
    """The linear layers in loops, by name; {} without a batch, and where they are too many to try each."""
    if body.args is None:
        return {}
    names = {part.module or "" for part in body.anatomy.parts if part.kind == "time"}
    modules = body.model.named_modules()
    found = {n: m for n, m in modules if n in names and isinstance(m, nn.Linear) and type(m) is nn.Linear}
    return found if len(found) <= _MOST_LAYERS else {}


@dataclass
class LoopCalls:
    """calls: how many. last: input of the last one. power: mean square of the outputs. added: the layers to
    whose outputs theirs are added.
    """

    calls: int = 0
    last: Tensor | None = None
    power: float = 0.0
    added: set[str] = field(default_factory=set)


def run_loop(body: Body, linear: Mapping[str, nn.Linear], changed: str | None) -> dict[str, LoopCalls]:
    """What layers are given in one forward pass of a copy, one of them changed a little."""
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    found = {name: LoopCalls() for name in linear}
    nodes: dict[Any, str] = {}

    def note(name: str, given: Tensor, output: Tensor) -> None:
        entry = found[name]
        entry.calls += 1
        entry.last = given.detach().clone()
        entry.power += (float(output.detach().double().square().mean()) - entry.power) / entry.calls
        if entry.calls == 2:
            nodes[output.grad_fn] = name

    for name in linear:
        twin.get_submodule(name).register_forward_hook(_told(note, name))
    if changed is not None:
        with torch.no_grad():
            for parameter in twin.get_submodule(changed).parameters():
                parameter.mul_(1 + _CHANGE).add_(_CHANGE)
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.set_grad_enabled(changed is None):
        output = twin(*(body.args or ()), **body.kwargs)
    if changed is None:
        for together in _sums(output, nodes):
            for name in together:
                found[name].added |= together - {name}
    return found


def _told(note: Callable[[str, Tensor, Tensor], None], name: str) -> Callable[..., None]:
    return lambda _, args, output: note(name, args[0], output)


def _sums(output: Any, nodes: Mapping[Any, str]) -> Iterator[set[str]]:
    """The layers whose outputs (nodes) are added to each other, sum by sum."""
    from livegrad.probe.output import output_tensors

    stack = [t.grad_fn for t in output_tensors(output) if t.grad_fn is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.name() in _SUMS:
            yield set(_terms(node, nodes))
        new = [following for following, _ in node.next_functions if following is not None]
        stack += [following for following in new if following not in seen]
        seen.update(new)


def _terms(node: Any, nodes: Mapping[Any, str]) -> Iterator[str]:
    for term, _ in node.next_functions:
        if term is None:
            continue
        if term in nodes:
            yield nodes[term]
        elif term.name() in _SUMS:
            yield from _terms(term, nodes)


def _state(module: nn.Linear, usual: Tensor | None, other: Tensor | None) -> tuple[int, int] | None:
    """The inputs that are the state: at the front or at the end, where any of them differs."""
    if usual is None or other is None or usual.shape != other.shape:
        return None
    differs = (usual != other).flatten(0, -2).any(0).nonzero().flatten().tolist()
    inputs, size = module.in_features, module.out_features
    for first in dict.fromkeys((0, inputs - size)):
        if differs and first >= 0 and first <= differs[0] and differs[-1] < first + size:
            return first, first + size
    return None


def _own_drive(module: nn.Linear, columns: tuple[int, int], given: Tensor | None) -> float:
    """What the layer's other inputs and its bias add to the mean square of its output."""
    assert given is not None
    rest = given.clone()
    rest[..., columns[0] : columns[1]] = 0
    with torch.no_grad():
        return float(nn.functional.linear(rest, module.weight, module.bias).double().square().mean())
