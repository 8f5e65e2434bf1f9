"""Recurrences whose weights are parameters of their own and no layers: h = φ(x @ W + h @ U + b).

A matrix is seen where it is multiplied with. It holds the state if what it is given later depends on what it
gave before; the others of the loop feed the state. Vectors as long as the state are its biases. Beside gates
each of those is held open and shut on a copy, and the one is taken to keep the state that lets most of the
gradient reach the first step.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import log, log10, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from livegrad.errors import UsageError
from livegrad.probe.output import output_tensors
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.stand_in import stand_in_loss
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.theory.activation import CATALOGUE, named
from livegrad.treat.body import Body
from livegrad.treat.recurrence.layers import RecurrentLayer

_PRODUCTS = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "linear"})
_CHANGE = 0.03
# Copies that are run: one for each matrix, two for each vector.
_MOST = 24
# What a bias has to bring, in decades over the sequence, to be taken for the one that keeps the state.
_WORTH = 1.0
_FLAT = 0.9


@dataclass(frozen=True)
class BareMatrix:
    """A parameter that states or data are multiplied with. inputs: how many of them; power: mean square of
    what it gives.
    """

    name: str
    weight: nn.Parameter
    inputs: int
    power: float


@dataclass(frozen=True)
class BareLoop(RecurrentLayer):
    """A loop over bare matrices. states: those of the state, feeds: those that add to it, biases: its
    vectors, by name. gated: whether gates hold the state. keeper: (name, value) of the bias that keeps the
    state, where gates have one; before, after: what of a gradient reaches the first of the steps, now and
    with it. activation: of a loop without gates.
    """

    states: tuple[BareMatrix, ...] = ()
    feeds: tuple[BareMatrix, ...] = ()
    biases: tuple[tuple[str, nn.Parameter], ...] = ()
    gated: bool = False
    keeper: tuple[str, float] | None = None
    before: float = 0.0
    after: float = 0.0
    activation: str | None = None

    @property
    def rectified(self) -> bool:
        return self.activation == "ReLU"

    def tensors(self, prefix: str) -> list[tuple[str, Tensor]]:
        """Its weights count as weight_hh."""
        return [(m.name, m.weight) for m in self.states] if prefix == "weight_hh" else []

    @property
    def gain(self) -> float:
        """σ_w of the weights of the state."""
        sizes = [m.inputs * float(m.weight.detach().double().square().mean()) for m in self.states]
        return sqrt(sum(sizes) / len(sizes))

    @property
    def drive(self) -> float:
        return sum(m.power for m in self.feeds)

    @property
    def bias(self) -> float:
        return 0.0

    @property
    def damps(self) -> bool:
        """Whether the activation passes back less than it is given even at rest."""
        return self.activation is not None and float(named(self.activation).slope(np.zeros(1))[0]) < _FLAT

    def factor(self, share: float) -> float:
        """Per step, of what reaches the first."""
        return share ** (1 / max(1, (self.steps or 1) - 1))


@dataclass
class _Used:
    """calls: how many. last: input of the last one. power: mean square of what it gave. ends: the first and
    the last of that. inputs: how many.
    """

    calls: int = 0
    last: Tensor | None = None
    power: float = 0.0
    ends: list[Tensor] = field(default_factory=list)
    inputs: int = 0


class _Products(TorchFunctionMode):
    """Notes what is multiplied with `known`: id of a parameter -> its name."""

    def __init__(self, known: Mapping[int, str]) -> None:
        super().__init__()
        self.found: dict[str, _Used] = {}
        self._known = known

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in _PRODUCTS and len(args) > 1 and isinstance(output, Tensor):
            for place in (1, 0):
                self._note(args, place, name == "linear", output)
        return output

    def _note(self, args: Any, place: int, linear: bool, output: Tensor) -> None:
        weight, given = args[place], args[1 - place]
        if not isinstance(weight, Tensor) or not isinstance(given, Tensor) or weight.dim() != 2:
            return
        base = weight if id(weight) in self._known else weight._base
        if base is None or id(base) not in self._known or base.dim() != 2:
            return
        entry = self.found.setdefault(self._known[id(base)], _Used())
        entry.calls += 1
        entry.last = given.detach().clone()
        entry.power += (float(output.detach().double().square().mean()) - entry.power) / entry.calls
        entry.inputs = weight.shape[1] if linear or place == 0 else weight.shape[0]
        entry.ends = [*entry.ends[:1], output]


def bare_loops(body: Body, span: int | None) -> list[RecurrentLayer]:
    """The loop over bare matrices, if there is one; [] without a batch. span: the steps to keep a state for,
    by default those of the batch.
    """
    key = ("bare loop", span)
    if key not in body.memory:
        body.memory[key] = list(_found(body, span))
    return body.memory[key]


def is_bare(model: nn.Module, name: str) -> bool:
    """Whether a parameter belongs to a module of the program's own, or to a list of parameters."""
    owner = model.get_submodule(name.rpartition(".")[0])
    held = (nn.ParameterList, nn.ParameterDict)
    return isinstance(owner, held) or not type(owner).__module__.startswith("torch.nn")


def _found(body: Body, span: int | None) -> Iterator[RecurrentLayer]:
    known = {n: p for n, p in body.model.named_parameters() if is_bare(body.model, n) and p.requires_grad}
    if body.args is None or not any(p.dim() == 2 for p in known.values()):
        return
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    usual = _run(body, twin)
    looped = {n: use for n, use in usual.items() if n in known and use.calls > 1}
    square = [n for n in looped if known[n].shape[0] == known[n].shape[1]]
    if not square or len(looped) > _MOST:
        return
    states = [n for n in square if _depends(body, twin, n, looped[n].last)]
    sizes = {known[n].shape[0] for n in states}
    if not states:
        return
    matrices = {n: BareMatrix(n, known[n], use.inputs, use.power) for n, use in looped.items()}
    feeds = [m for n, m in matrices.items() if n not in states and m.weight.numel() // m.inputs in sizes]
    biases = [(n, p) for n, p in known.items() if p.dim() == 1 and p.numel() in sizes]
    steps = span or looped[states[0]].calls
    gated = any(site.gate and site.reused for site in body.sites)
    before = _reach(body, twin, states)
    keeper, after = _keeper(body, twin, states, [n for n, _ in biases], steps) if gated else (None, before)
    yield BareLoop(
        "", body.model, "gates" if gated else "RNN", steps, 1.0,  # type: ignore[arg-type]
        tuple(matrices[n] for n in states), tuple(feeds), tuple(biases), gated, keeper, before, after,
        None if gated else _activation(body),
    )  # fmt: skip


def _activation(body: Body) -> str | None:
    kinds = [site.kind for site in body.sites if site.reused and site.kind in CATALOGUE]
    return kinds[0] if kinds else None


def _run(body: Body, twin: nn.Module, gradients: bool = False) -> dict[str, _Used]:
    names = {id(p): n for n, p in twin.named_parameters()}
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    mode = _Products(names)
    with replayed(RandomState.now(devices)), torch.set_grad_enabled(gradients), mode:
        output = twin(*(body.args or ()), **body.kwargs)
    if gradients:
        mode.found[""] = _Used(ends=list(output_tensors(output)))
    return mode.found


def _depends(body: Body, twin: nn.Module, name: str, usual: Tensor | None) -> bool:
    """Whether the last input of a matrix is another one after the matrix was changed a little."""
    with _changed(twin, name, lambda p: p.mul_(1 + _CHANGE).add_(_CHANGE)):
        other = _run(body, twin)[name].last
    return usual is not None and other is not None and usual.shape == other.shape and not usual.equal(other)


def _keeper(
    body: Body, twin: nn.Module, states: Sequence[str], biases: Sequence[str], steps: int
) -> tuple[tuple[str, float] | None, float]:
    """The bias that keeps the state and what it is to be, and what reaches the first step with it."""
    size = float(f"{log(max(steps, 3) - 1):.3g}")
    before = best = _reach(body, twin, states)
    found = None
    for name in biases if 2 * len(biases) <= _MOST else ():
        for held in (size, -size):
            with _changed(twin, name, lambda p, held=held: p.fill_(held)):
                share = _reach(body, twin, states)
            if share > best:
                found, best = (name, held), share
    worth = found is not None and log10(best / max(before, 1e-300)) >= _WORTH
    return (found, best) if worth else (None, before)


@contextmanager
def _changed(twin: nn.Module, name: str, how: Any) -> Iterator[None]:
    parameter = twin.get_parameter(name)
    old = parameter.detach().clone()
    with torch.no_grad():
        how(parameter)
    try:
        yield
    finally:
        with torch.no_grad():
            parameter.copy_(old)


def _reach(body: Body, twin: nn.Module, states: Sequence[str]) -> float:
    """‖gradient‖ at what the matrices of the state give first, over that at what they give last."""
    with torch.enable_grad():
        found = _run(body, twin, gradients=True)
        loss = stand_in_loss(found[""].ends)
        ends = [end for n in states for end in found[n].ends]
        if loss is None or len(ends) < 2 * len(states):
            return 0.0
        gradients = torch.autograd.grad(loss, ends, allow_unused=True)
    first, last = (
        sum(float(g.double().square().sum()) for g in gradients[place::2] if g is not None)
        for place in (0, 1)
    )
    return (first / last) ** 0.5 if last > 0 else 0.0
