"""A whole recurrent module run again, unfused: its layers and directions one by one, forwards and backwards.

nn.RNN, nn.LSTM and nn.GRU, of any number of layers, in one direction or both, with or without biases and
projections. Dropout between layers, which would draw random numbers, is left out.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livegrad.probe.recurrence.gru import GRU
from livegrad.probe.recurrence.layer import Unrolled, Weights
from livegrad.probe.recurrence.layout import Layout
from livegrad.probe.recurrence.lstm import LSTM
from livegrad.probe.recurrence.plain import Plain


@dataclass(frozen=True)
class Lane:
    """One layer in one direction. suffix: of its parameters' names ("l0", "l1_reverse"). read: what is said
    of each of its states by all but the step after it, (T, S, B, P). Time runs as the lane runs through it.
    """

    suffix: str
    unrolled: Unrolled
    read: Tensor


class Stack:
    """The lanes of `module` for the samples of one call.

    sequence: (T, B, I). state: None or what the module was given, of these samples.
    """

    def __init__(self, module: torch.nn.RNNBase, sequence: Tensor, state: Any, layout: Layout) -> None:
        self._module, self._both = module, 2 if module.bidirectional else 1
        lengths = torch.tensor(layout.lengths, device=sequence.device)
        time = torch.arange(layout.steps, device=sequence.device)[:, None]
        self._at_end = time == lengths - 1
        self._turned = torch.where(time < lengths, lengths - 1 - time, time)
        self._runs: list[Unrolled] = []
        x = sequence
        for layer in range(module.num_layers):
            outs = []
            for way in range(self._both):
                run = self._run(layer, way, self._turn(x) if way else x, state)
                self._runs.append(run)
                outs.append(self._turn(run.hidden[1:]) if way else run.hidden[1:])
            x = torch.cat(outs, 2)

    def back(self, outputs: Tensor | None, hidden: Tensor | None, cells: Tensor | None) -> list[Lane]:
        """Send back S gradients of the outputs (T, S, B, D·P) and of the final states (S, D·L, B, ·)."""
        lanes: list[Lane] = []
        for layer in reversed(range(self._module.num_layers)):
            below: Tensor | None = None
            for way in range(self._both):
                place = layer * self._both + way
                run = self._runs[place]
                read = self._read(run, outputs, way, None if hidden is None else hidden[:, place])
                given = run.back(read, None if cells is None else cells[:, place], self._at_end)
                given = self._turn(given) if way else given
                below = given if below is None else below + given
                lanes.append(Lane(f"l{layer}{'_reverse' if way else ''}", run, read))
            outputs = below
        return lanes[::-1] if self._both == 1 else _in_order(lanes)

    def _read(self, run: Unrolled, outputs: Tensor | None, way: int, final: Tensor | None) -> Tensor:
        size = run.hidden.shape[-1]
        if outputs is None:
            assert final is not None
            read = final.new_zeros(len(self._at_end), *final.shape)
        else:
            read = outputs[..., way * size : (way + 1) * size]
            read = self._turn(read) if way else read
        return read if final is None else read + final * self._at_end[:, None, :, None]

    def _turn(self, value: Tensor) -> Tensor:
        """Each sample's own steps in the opposite order; time first, the batch last but one."""
        at = self._turned if value.ndim == 3 else self._turned[:, None]
        return torch.take_along_dim(value, at[..., None], 0)

    def _run(self, layer: int, way: int, x: Tensor, state: Any) -> Unrolled:
        module, place = self._module, layer * self._both + way
        weights = _weights(module, f"l{layer}{'_reverse' if way else ''}", x.dtype)
        size = module.hidden_size
        hidden, cell = state if isinstance(state, tuple) else (state, None)
        outputs = weights.hidden.shape[1]
        h = x.new_zeros(x.shape[1], outputs) if hidden is None else hidden[place].to(x.dtype)
        if module.mode == "LSTM":
            c = x.new_zeros(x.shape[1], size) if cell is None else cell[place].to(x.dtype)
            return LSTM(weights, x, h, c)
        if module.mode == "GRU":
            return GRU(weights, x, h)
        return Plain(weights, x, h, "Tanh" if module.mode == "RNN_TANH" else "ReLU")


def _in_order(lanes: list[Lane]) -> list[Lane]:
    """By layer, forwards before backwards; they were made from the top layer down."""
    pairs = [lanes[k : k + 2] for k in range(0, len(lanes), 2)]
    return [lane for pair in reversed(pairs) for lane in pair]


def _weights(module: torch.nn.RNNBase, suffix: str, dtype: torch.dtype) -> Weights:
    def of(name: str) -> Tensor | None:
        value = getattr(module, f"{name}_{suffix}", None)
        return None if value is None else value.detach().to(dtype)

    into, hidden = of("weight_ih"), of("weight_hh")
    assert into is not None and hidden is not None
    none = into.new_zeros(len(into))
    bias, hidden_bias = of("bias_ih"), of("bias_hh")
    return Weights(
        into, hidden, none if bias is None else bias, none if hidden_bias is None else hidden_bias,
        of("weight_hr"),
    )  # fmt: skip
