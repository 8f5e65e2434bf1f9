"""How recurrent layers are started, variant by variant: what is written into their weights and biases."""

from collections.abc import Callable, Iterator
from math import log, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.draw import Draw, put
from livegrad.treat.recurrence.bare import BareLoop
from livegrad.treat.recurrence.bare_starts import start_bare
from livegrad.treat.recurrence.gates import HandGate
from livegrad.treat.recurrence.layers import GATES, KEEPS, STEPS, TAKES, RecurrentLayer, gate_of
from livegrad.treat.recurrence.loop_starts import rectify_loop, start_loop, without_bias
from livegrad.treat.recurrence.loops import LoopedLayer
from livegrad.treat.remedy import Change

# A new tensor, and the statements that make it.
_New = tuple[Tensor, tuple[str, ...]]
# What the data come in by.
_FIRST = ("weight_ih_l0", "weight_ih_l0_reverse")


def _written(
    body: Body,
    layer: RecurrentLayer,
    prefix: str,
    new: Callable[[Tensor], _New],
    what: str,
    but: tuple[str, ...] = (),
) -> Iterator[Change]:
    for name, tensor in layer.tensors(prefix):
        if name in but:
            continue
        where = f"{layer.name}.{name}" if layer.name else name
        yield put(tensor, *new(tensor.detach()), where, what, body.sources.get(layer.name))


def orthogonal(
    body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator
) -> Iterator[Change]:
    """Make the recurrent matrix of each gate orthogonal, and in a stack what leads from one to the next:
    by torch's default that passes on 0.58 of what it is given.
    """
    if isinstance(layer, BareLoop):
        yield from start_bare(body, layer, Draw("orthogonal", 1.0), generator)
        return
    if isinstance(layer, LoopedLayer):
        yield from start_loop(body, layer, Draw("orthogonal", 1.0), generator)
        return
    draw = Draw("orthogonal", 1.0, blocks=GATES[layer.kind])
    each = " of each gate" if layer.kind != "RNN" else ""
    what = f"recurrent weights{each}: orthogonal"
    new = lambda w: (draw.tensor(w, generator), draw.code(w))  # noqa: E731
    yield from _written(body, layer, "weight_hh", new, what)
    if int(getattr(layer.module, "num_layers", 1)) > 1:
        what = f"weights between the layers of the stack{each}: orthogonal"
        yield from _written(body, layer, "weight_ih", new, what, but=_FIRST)


def _zero(tensor: Tensor) -> _New:
    return torch.zeros_like(tensor), ("nn.init.zeros_({tensor})",)


def identity(
    body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator
) -> Iterator[Change]:
    """Make an IRNN: the identity, no biases, and ReLU."""
    if isinstance(layer, LoopedLayer | BareLoop):
        yield from rectify_loop(body, layer)
        if isinstance(layer, BareLoop):
            yield from start_bare(body, layer, None, generator)
        else:
            yield from start_loop(body, layer, None, generator)
        return
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


def forget(body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    """Set the bias of the gate that keeps the state."""
    bias = float(choice.options.get("bias", 1.0))
    gate = "forget" if layer.kind == "LSTM" else "update"

    def with_keep(value: float) -> Callable[[Tensor], _New]:
        def changed(tensor: Tensor) -> _New:
            new, place = tensor.clone(), _rows(tensor, layer.kind, KEEPS)
            gate_of(new, layer.kind, KEEPS).fill_(value)
            return new, (f"{{tensor}}.data[{place}].fill_({value:g})",)

        return changed

    yield from _written(body, layer, "bias_hh", with_keep(bias), f"bias of the {gate} gate: {bias:.3g}")
    yield from _written(
        body, layer, "bias_ih", with_keep(0.0), f"bias of the {gate} gate: 0 (the other vector has it)"
    )


def chrono(body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    """Spread the spans that the gates keep evenly up to the length of the sequences."""
    longest = layer.steps or STEPS

    def drawn(tensor: Tensor) -> _New:
        new = torch.zeros(tensor.shape)
        units = len(new) // GATES[layer.kind]
        spans = torch.empty(units).uniform_(1, longest - 1, generator=generator).log()
        code = [
            "nn.init.zeros_({tensor})",
            f"spans = torch.empty({units}).uniform_(1, {longest - 1}, generator=generator).log()",
            f"{{tensor}}.data[{_rows(tensor, layer.kind, KEEPS)}] = spans",
        ]
        gate_of(new, layer.kind, KEEPS).copy_(spans)
        if layer.kind == "LSTM":
            gate_of(new, layer.kind, TAKES).copy_(-spans)
            code.append(f"{{tensor}}.data[{_rows(tensor, layer.kind, TAKES)}] = -spans")
        return new, tuple(code)

    what = f"gates for spans of 1 to {longest - 1} steps (chrono)"
    yield from _written(body, layer, "bias_hh", drawn, what)
    yield from _written(body, layer, "bias_ih", _zero, "bias: zero (the other vector has it)")


def hold(body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    """Let every unit keep its state for the whole sequence, and take in at each step as gates at rest do."""
    if isinstance(layer, HandGate):
        yield from _with_gate(body, layer)
        return
    if isinstance(layer, BareLoop):
        yield from start_bare(body, layer, Draw("orthogonal", 1.0), generator, held=True)
        return
    yield from orthogonal(body, layer, choice, generator)
    bias = float(f"{span_bias(layer.steps or STEPS):.3g}")

    yield from _biases(body, layer, bias)


def xavier(body: Body, layer: RecurrentLayer, choice: Choice, generator: torch.Generator) -> Iterator[Change]:
    """Start it all anew: σ² = 2/(inputs + units) for what the data come in by, orthogonal recurrent weights,
    the bias 1 for the gate that keeps the state, and no others.
    """

    def drawn(tensor: Tensor) -> _New:
        units = len(tensor) // GATES[layer.kind]
        draw = Draw("normal", sqrt(2 / (units + tensor.shape[1])))
        return draw.tensor(tensor, generator), draw.code(tensor)

    yield from _written(body, layer, "weight_ih", drawn, "input weights: xavier")
    yield from orthogonal(body, layer, choice, generator)
    yield from _biases(body, layer, 1.0)


def _biases(body: Body, layer: RecurrentLayer, bias: float) -> Iterator[Change]:
    """`bias` for the gate that keeps the state, and zero for all else."""
    if layer.kind == "RNN":
        yield from _written(body, layer, "bias_", _zero, "bias: zero")
        return

    def held(tensor: Tensor) -> _New:
        new = torch.zeros(tensor.shape)
        gate_of(new, layer.kind, KEEPS).fill_(bias)
        code = ("nn.init.zeros_({tensor})", f"{{tensor}}.data[{_rows(tensor, layer.kind, KEEPS)}] = {bias:g}")
        return new, code

    gate = "forget" if layer.kind == "LSTM" else "update"
    what = f"bias of the {gate} gate: {bias:g}, of the others: zero"
    yield from _written(body, layer, "bias_hh", held, what)
    yield from _written(body, layer, "bias_ih", _zero, "bias: zero (the other vector has it)")


def _with_gate(body: Body, layer: HandGate) -> Iterator[Change]:
    """The gate's own rows, and no bias for whatever else has a part in the state: a gate that lets in is at
    rest then, and not shut.
    """
    first, last = layer.rows
    new = torch.zeros_like(layer.own_bias.detach())
    new[first:last] = layer.held
    code = (f"{{tensor}}.data[{first}:{last}] = {layer.held:g}",)
    what = f"bias of the gate that keeps the state: {layer.held:g}"
    if last - first < len(new):
        code, what = ("nn.init.zeros_({tensor})", *code), f"{what}, of the others: zero"
    yield put(layer.own_bias, new, code, f"{layer.name}.bias", what, body.sources.get(layer.name))
    for name, module in layer.beside:
        yield from without_bias(body, name, module)


def span_bias(steps: int) -> float:
    """ln(T − 1): the bias at which a gate keeps 1/e of its state over T steps."""
    return log(max(steps, 3) - 1)


def _rows(tensor: Tensor, kind: str, number: int) -> str:
    """The place of a gate along the first axis, as a slice is written."""
    units = len(tensor) // GATES[kind]
    return f"{number * units}:{(number + 1) * units}"


STARTS = {
    "orthogonal": orthogonal, "identity": identity, "forget": forget, "chrono": chrono, "hold": hold,
    "xavier": xavier,
}  # fmt: skip
"""Variant -> (body, layer, choice, generator) -> what was changed, in order."""
