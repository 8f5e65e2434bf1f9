"""recurrent: start nn.RNN, nn.LSTM, nn.GRU and their cells so that a time step passes on nearly all it holds.

    orthogonal   W_hh of each gate orthogonal                       σ_w = 1; Saxe et al. 2014
    identity     W_hh = I, biases zero, φ = ReLU (a tanh RNN's is changed)       IRNN; Le et al. 2015
    forget       the gate that keeps the state gets the bias 1 (option bias)     Jozefowicz et al. 2015
    chrono       its bias is ln u, u ~ U(1, T − 1), an LSTM's input gate −ln u   Tallec & Ollivier 2018

torch's layers add two bias vectors: what is set is set in `bias_hh`, and `bias_ih` is zeroed there. The
factor per step is known beforehand for small states (livegrad.theory.recurrent); to the power of the T steps
of a batch it is what is left of the gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log10, sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from livegrad.errors import UsageError
from livegrad.probe.random_state import RandomState, replayed
from livegrad.probe.twin import CannotCopy, make_twin
from livegrad.theory.recurrent import (
    chrono_factor,
    gru_factor,
    identity_rectifier_factor,
    lstm_factor,
    plain_factor,
)
from livegrad.treat.body import Body
from livegrad.treat.choice import AUTO, Choice
from livegrad.treat.draw import Draw, generator_of, put
from livegrad.treat.optimizers import begun
from livegrad.treat.remedy import Assessment, Change, Edit, Refused, Remedy
from livegrad.treat.rewrite.edits_of_recurrent import edits_of_recurrent

_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
# Of i f g o, and of r z n, whose z keeps the old state.
_KEEPS, _TAKES = 1, 0
_FLOOR = 3.0
_SHORTEST = 4
_STEPS = 100

# A new tensor, and the statements that make it.
_New = tuple[Tensor, tuple[str, ...]]


@dataclass(frozen=True)
class _Layer:
    """A recurrent module. kind: "RNN", "LSTM" or "GRU". steps: of the batch, None if unknown. power: mean
    square of its input.
    """

    name: str
    module: nn.RNNBase | nn.RNNCellBase
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
    def bias(self) -> float:
        """The mean bias of the gate that keeps the state, both vectors together."""
        found = [_gate(b.detach(), self.kind, _KEEPS).mean() for _, b in self.tensors("bias_")]
        return 2 * float(sum(found)) / len(found) if found else 0.0


class Recurrent(Remedy):
    """Start recurrent layers so that they keep their state."""

    name = "recurrent"
    title = "initialize recurrent layers to keep their state"
    treats = ("LG102", "LG104")
    not_when = (
        "the task needs no reach, the weights are trained already, or the recurrence is written by hand; "
        "gate biases do not help against explosion, nor orthogonal weights a gated layer that forgets"
    )
    variants = ("orthogonal", "identity", "forget", "chrono")
    options: ClassVar = {
        "steps": "T, over which to keep the state; by default the length of the batch's sequences",
        "bias": "of the gate that keeps the state (forget; default 1)",
        "seed": "of the draw; by default one more than torch's own",
    }

    def preserves_function(self, choice: Choice) -> bool:
        return False

    def resolve(self, body: Body, choice: Choice) -> Choice:
        """Without a variant: identity for a ReLU recurrence, orthogonal for tanh and against explosion,
        chrono for gates.
        """
        if choice.variant != AUTO:
            if choice.variant not in self.variants:
                raise Refused(
                    f"recurrent knows no variant {choice.variant!r}. There are: {', '.join(self.variants)}"
                )
            return choice
        layers = _layers(body, choice)
        exploding = (body.finding or {}).get("code") == "LG104"
        if exploding or not layers:
            return Choice(self.name, "orthogonal", choice.options)
        if layers[0].kind != "RNN":
            return Choice(self.name, "chrono", choice.options)
        return Choice(self.name, "identity" if layers[0].rectified else "orthogonal", choice.options)

    def assess(self, body: Body, choice: Choice) -> Assessment:
        layers = _suited(_layers(body, choice), choice)
        obstacle = _obstacle(body, layers, choice)
        if obstacle is not None:
            return Assessment(False, obstacle)
        now = {layer.name: _factor_now(layer) for layer in layers}
        new = {layer.name: _factor_after(layer, choice) for layer in layers}
        worst = min(layers, key=lambda layer: new[layer.name])
        steps = worst.steps or _STEPS
        before, predicted = (_numbers(found[worst.name], steps) for found in (now, new))
        decades = predicted["decades_over_sequence"]
        said = f"{worst.name or worst.kind} passes back {new[worst.name]:.3g} per step"
        said += f", {decades:.1f} decades over {steps}"
        if decades < -_FLOOR:
            better = "chrono" if worst.kind != "RNN" else "identity"
            return Assessment(False, f"{said}: take recurrent={better}", predicted, before)
        if decades > _FLOOR:
            reason = f"{said} while the state is small; how far saturation bounds it, theory does not tell"
            return Assessment(None, reason, predicted, before)
        return Assessment(True, said, predicted, before)

    def apply(self, body: Body, choice: Choice) -> Sequence[Change]:
        layers = _suited(_layers(body, choice), choice)
        obstacle = _obstacle(body, layers, choice)
        if obstacle is not None:
            raise Refused(obstacle)
        generator = generator_of(body, choice)
        act = {"orthogonal": _orthogonal, "identity": _identity, "forget": _forget, "chrono": _chrono}
        return [change for layer in layers for change in act[choice.variant](body, layer, choice, generator)]

    def edits(self, body: Body, choice: Choice, changes: Sequence[Change]) -> Sequence[Edit]:
        return edits_of_recurrent(body, choice, changes)


def _numbers(factor: float, steps: int) -> dict[str, float]:
    decades = steps * log10(factor) if factor > 0 else float("-inf")
    return {"backward_gain_per_step": factor, "decades_over_sequence": decades}


def _layers(body: Body, choice: Choice) -> list[_Layer]:
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
        if kind in _GATES:
            layers.append(_Layer(name, module, kind, steps if asked is None else int(asked), power))
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


def _suited(layers: Sequence[_Layer], choice: Choice) -> list[_Layer]:
    """Those that the variant is for."""
    if choice.variant == "identity":
        return [layer for layer in layers if layer.kind == "RNN"]
    if choice.variant in ("forget", "chrono"):
        return [layer for layer in layers if layer.kind != "RNN"]
    return list(layers)


def _obstacle(body: Body, layers: Sequence[_Layer], choice: Choice) -> str | None:
    if not layers:
        kinds = {"identity": "nn.RNN", "forget": "nn.LSTM or nn.GRU", "chrono": "nn.LSTM or nn.GRU"}
        return f"it has no {kinds.get(choice.variant, 'nn.RNN, nn.LSTM or nn.GRU')}"
    if begun(body.optimizers):
        return "training has begun, and what was learnt would be lost"
    if choice.variant not in ("forget", "chrono"):
        return None
    if (body.finding or {}).get("code") == "LG104":
        return "a gate that keeps more does not end an explosion, its matrices do: take recurrent=orthogonal"
    bare = next((layer for layer in layers if not layer.module.bias), None)
    if bare is not None:
        return f"{bare.name or bare.kind} has no biases"
    if choice.variant == "chrono":
        unknown = next((layer for layer in layers if layer.steps is None), None)
        if unknown is not None:
            return "the length of its sequences is not known: give a batch, or recurrent=chrono:steps=100"
        short = next((layer for layer in layers if (layer.steps or 0) < _SHORTEST), None)
        if short is not None:
            return (
                f"{short.name or short.kind} sees {short.steps} steps at a time: there is no reach to learn"
            )
    return None


def _factor_now(layer: _Layer) -> float:
    steps = layer.steps or _STEPS
    if layer.kind == "LSTM":
        return lstm_factor(steps, layer.bias, layer.gain)
    if layer.kind == "GRU":
        return gru_factor(steps, layer.bias, layer.gain)
    return plain_factor("ReLU" if layer.rectified else "Tanh", layer.gain, layer.drive, steps)


def _factor_after(layer: _Layer, choice: Choice) -> float:
    steps = layer.steps or _STEPS
    if choice.variant == "identity":
        return identity_rectifier_factor(steps)
    if choice.variant == "chrono":
        return chrono_factor(steps)
    gated = lstm_factor if layer.kind == "LSTM" else gru_factor
    if choice.variant == "forget":
        return gated(steps, float(choice.options.get("bias", 1.0)), layer.gain)
    if layer.kind != "RNN":
        return gated(steps, layer.bias, 1.0)
    return plain_factor("ReLU" if layer.rectified else "Tanh", 1.0, layer.drive, steps)


def _gate(tensor: Tensor, kind: str, number: int) -> Tensor:
    return tensor.chunk(_GATES[kind])[number]


def _written(
    body: Body, layer: _Layer, prefix: str, new: Callable[[Tensor], _New], what: str
) -> Iterator[Change]:
    for name, tensor in layer.tensors(prefix):
        where = f"{layer.name}.{name}" if layer.name else name
        yield put(tensor, *new(tensor.detach()), where, what, body.sources.get(layer.name))


def _orthogonal(body: Body, layer: _Layer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    draw = Draw("orthogonal", 1.0, blocks=_GATES[layer.kind])
    each = " of each gate" if layer.kind != "RNN" else ""
    what = f"recurrent weights{each}: orthogonal"
    yield from _written(body, layer, "weight_hh", lambda w: (draw.tensor(w, generator), draw.code(w)), what)


def _zero(tensor: Tensor) -> _New:
    return torch.zeros_like(tensor), ("nn.init.zeros_({tensor})",)


def _identity(body: Body, layer: _Layer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    module: Any = layer.module
    if not layer.rectified:
        kept = {name: module.__dict__[name] for name in ("nonlinearity", "mode") if name in module.__dict__}
        module.nonlinearity = "relu"
        if "mode" in kept:
            module.mode = "RNN_RELU"
        undo = _putting_back(module, kept)
        yield Change(layer.name, "nonlinearity: tanh → ReLU", undo, body.sources.get(layer.name))
    eye = ("nn.init.eye_({tensor})",)
    what = "recurrent weights: the identity"
    yield from _written(body, layer, "weight_hh", lambda w: (torch.eye(*w.shape), eye), what)
    yield from _written(body, layer, "bias_", _zero, "bias: zero")


def _putting_back(module: nn.Module, kept: dict[str, Any]) -> Callable[[], None]:
    return lambda: module.__dict__.update(kept)


def _forget(body: Body, layer: _Layer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    bias = float(choice.options.get("bias", 1.0))
    gate = "forget" if layer.kind == "LSTM" else "update"

    def with_keep(value: float) -> Callable[[Tensor], _New]:
        def changed(tensor: Tensor) -> _New:
            new, place = tensor.clone(), _rows(tensor, layer.kind, _KEEPS)
            _gate(new, layer.kind, _KEEPS).fill_(value)
            return new, (f"{{tensor}}.data[{place}].fill_({value:g})",)

        return changed

    yield from _written(body, layer, "bias_hh", with_keep(bias), f"bias of the {gate} gate: {bias:.3g}")
    yield from _written(
        body, layer, "bias_ih", with_keep(0.0), f"bias of the {gate} gate: 0 (the other vector has it)"
    )


def _chrono(body: Body, layer: _Layer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    longest = layer.steps or _STEPS

    def drawn(tensor: Tensor) -> _New:
        new = torch.zeros(tensor.shape)
        units = len(new) // _GATES[layer.kind]
        spans = torch.empty(units).uniform_(1, longest - 1, generator=generator).log()
        code = [
            "nn.init.zeros_({tensor})",
            f"spans = torch.empty({units}).uniform_(1, {longest - 1}, generator=generator).log()",
            f"{{tensor}}.data[{_rows(tensor, layer.kind, _KEEPS)}] = spans",
        ]
        _gate(new, layer.kind, _KEEPS).copy_(spans)
        if layer.kind == "LSTM":
            _gate(new, layer.kind, _TAKES).copy_(-spans)
            code.append(f"{{tensor}}.data[{_rows(tensor, layer.kind, _TAKES)}] = -spans")
        return new, tuple(code)

    what = f"gates for spans of 1 to {longest - 1} steps (chrono)"
    yield from _written(body, layer, "bias_hh", drawn, what)
    yield from _written(body, layer, "bias_ih", _zero, "bias: zero (the other vector has it)")


def _rows(tensor: Tensor, kind: str, number: int) -> str:
    """The place of a gate along the first axis, as a slice is written."""
    units = len(tensor) // _GATES[kind]
    return f"{number * units}:{(number + 1) * units}"
