"""The recurrent layers of a model: their gates, their state now, and how long the sequences are they see."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
# Of i f g o, and of r z n, whose z keeps the old state.
KEEPS, TAKES = 1, 0
# Of pre-activations: σ'(2) = 0.105, tanh'(2) = 0.07.
WILD = 2.0
# Of the size that Glorot and Bengio give a weight; torch's default is at least 0.41 of it.
FAINT = 0.1
# Time steps where nothing is known of them.
STEPS = 100


@dataclass(frozen=True)
class RecurrentLayer:
    """A recurrent module. kind: "RNN", "LSTM" or "GRU". steps: of the batch, None if unknown. power: mean
    square of its input.
    """

    name: str
    module: nn.RNNBase | nn.RNNCellBase | nn.Linear
    kind: str
    steps: int | None
    power: float

    @property
    def rectified(self) -> bool:
        return getattr(self.module, "nonlinearity", "tanh") == "relu"

    def tensors(self, prefix: str) -> list[tuple[str, Tensor]]:
        """Parameters whose name starts so, of all its layers and directions."""
        named = self.module.named_parameters(recurse=False)
        return [(name, tensor) for name, tensor in named if name.startswith(prefix)]

    @property
    def gain(self) -> float:
        """σ_w of the recurrent weights."""
        weights = [w.detach().double() for _, w in self.tensors("weight_hh")]
        return sqrt(sum(float(w.square().mean()) * w.shape[1] for w in weights) / len(weights))

    @property
    def drive(self) -> float:
        """What input and biases add to the mean square of a pre-activation, in the first layer."""
        weight = self.tensors("weight_ih")[0][1].detach().double()
        biases = [b.detach().double() for _, b in self.tensors("bias_")[:2]]
        both = float(sum(biases, torch.zeros(1)).square().mean()) if biases else 0.0
        return float(weight.square().mean()) * weight.shape[1] * self.power + both

    @property
    def drive_of_xavier(self) -> float:
        """What the input would add with weights of variance 2/(inputs + units), and no biases."""
        rows, inputs = self.tensors("weight_ih")[0][1].shape
        return 2 * inputs / (inputs + rows // GATES[self.kind]) * self.power

    @property
    def is_wild(self) -> bool:
        """Whether its gates are shut, or its tanh at its ends, from the start: states of size one and the
        input make pre-activations of rms over 2, where the slope is under a tenth.
        """
        return self.gain**2 + self.drive > WILD**2

    @property
    def is_faint(self) -> bool:
        """Whether next to nothing comes in, from the data or from a layer below: some input weights are under
        a tenth of what Glorot and Bengio give them.
        """
        units = [(w.detach().double(), w.shape[0] // GATES[self.kind]) for _, w in self.tensors("weight_ih")]
        return any(w.square().mean() < FAINT**2 * 2 / (w.shape[1] + n) for w, n in units)

    @property
    def bias(self) -> float:
        """The mean bias of the gate that keeps the state, both vectors together."""
        found = [gate_of(b.detach(), self.kind, KEEPS).mean() for _, b in self.tensors("bias_")]
        return 2 * float(sum(found)) / len(found) if found else 0.0


def recurrent_layers(body: Body, choice: Choice) -> list[RecurrentLayer]:
    """The recurrent layers and cells of torch.nn in the model; option `steps` overrides the length seen."""
    found = {
        name: module
        for name, module in body.model.named_modules()
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase))
    }
    seen = _sequences(body, found)
    asked = choice.options.get("steps")
    layers = []
    for name, module in found.items():
        kind = type(module).__name__.removesuffix("Cell")
        steps, power = seen.get(name, (None, 1.0))
        if kind in GATES:
            layers.append(RecurrentLayer(name, module, kind, steps if asked is None else int(asked), power))
    return layers


def _sequences(body: Body, modules: dict[str, Any]) -> dict[str, tuple[int, float]]:
    """Name -> (time steps, mean square of the input) in one forward pass on a copy; {} without a batch."""
    if body.args is None or not modules:
        return {}
    try:
        twin = make_twin(body.model)
    except CannotCopy as error:
        raise UsageError(f"the model cannot be examined: {error}") from error
    found: dict[str, tuple[int, float]] = {}

    def noted(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            given = args[0]
            data = given.data if isinstance(given, PackedSequence) else given
            before, power = found.get(name, (0, 0.0))
            steps = before + _length(module, given)
            new = float(data.detach().double().square().mean())
            found[name] = (steps, power + (new - power) * (steps - before) / steps)

        return hook

    for name in modules:
        twin.get_submodule(name).register_forward_pre_hook(noted(name))
    devices = {tensor.device for tensor in (*body.model.parameters(), *body.model.buffers())}
    with replayed(RandomState.now(devices)), torch.no_grad():
        twin(*body.args, **body.kwargs)
    return found


def _length(module: nn.Module, given: Any) -> int:
    if isinstance(module, nn.RNNCellBase):
        return 1
    if isinstance(given, PackedSequence):
        return len(given.batch_sizes)
    return given.shape[1 if given.dim() == 3 and getattr(module, "batch_first", False) else 0]


def gate_of(tensor: Tensor, kind: str, number: int) -> Tensor:
    """The rows of one gate."""
    return tensor.chunk(GATES[kind])[number]
