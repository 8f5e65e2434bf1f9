"""Recurrent layers of torch at their initialization: what one step passes back, measured."""

import numpy as np
import torch
from torch import Tensor

HIDDEN, STEPS, BATCH = 128, 100, 8


def _uniform_log(longest: int) -> Tensor:
    return torch.empty(HIDDEN).uniform_(1, longest - 1).log()


def build(kind: str, inputs: int) -> torch.nn.RNNCellBase:
    """A cell by name: tanh, orthogonal, irnn, lstm, lstm forget 1, lstm chrono, gru, gru chrono."""
    if kind in ("tanh", "orthogonal", "irnn"):
        cell = torch.nn.RNNCell(inputs, HIDDEN, nonlinearity="relu" if kind == "irnn" else "tanh")
        if kind != "tanh":
            torch.nn.init.zeros_(cell.bias_ih)
            torch.nn.init.zeros_(cell.bias_hh)
        if kind == "orthogonal":
            torch.nn.init.orthogonal_(cell.weight_hh)
        if kind == "irnn":
            torch.nn.init.eye_(cell.weight_hh)
        return cell
    gru = kind.startswith("gru")
    cell = torch.nn.GRUCell(inputs, HIDDEN) if gru else torch.nn.LSTMCell(inputs, HIDDEN)
    if kind in ("lstm", "gru"):
        return cell
    # The forget gate of an LSTM and the update gate of a GRU are both the second block of rows.
    gate = slice(HIDDEN, 2 * HIDDEN)
    with torch.no_grad():
        cell.bias_hh.zero_()
        cell.bias_ih.zero_()
        cell.bias_ih[gate] = 1.0 if kind == "lstm forget 1" else _uniform_log(STEPS)
        if kind == "lstm chrono":
            cell.bias_ih[:HIDDEN] = -cell.bias_ih[gate]
    return cell


def factors(kind: str, inputs: int, scale: float, seeds: int) -> np.ndarray:
    """ln of the gradient's factor per step, (seeds,), from the last state to the first over STEPS steps.

    inputs: features of N(0, scale²). An LSTM's gradient is that of its cell state.
    """
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        cell = build(kind, inputs).double()
        x = scale * torch.randn(STEPS, BATCH, inputs, dtype=torch.float64)
        first = torch.zeros(BATCH, HIDDEN, dtype=torch.float64, requires_grad=True)
        is_lstm = isinstance(cell, torch.nn.LSTMCell)
        state = (torch.zeros_like(first), first) if is_lstm else first
        for step in range(STEPS):
            state = cell(x[step], state)
        last = state[1] if is_lstm else state
        v = torch.randn_like(last)
        (gradient,) = torch.autograd.grad(last, first, v)
        ratio = gradient.square().sum(1) / v.square().sum(1)
        found.append(float(ratio.mean().log()) / (2 * STEPS))
    return np.array(found)
