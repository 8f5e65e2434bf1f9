"""nn.RNN, one layer and direction.

h_t = φ(a_t),  a_t = W_ih x_t + W_hh h_{t-1} + b            δ_{t-1} = W_hhᵀ (φ'(a_t) δ_t)
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from livegrad.probe.recurrence.layer import WEIGHTS, Stage, Unrolled, Way, Weights, moments, norms


class Plain(Unrolled):
    """See livegrad.probe.recurrence.layer.Unrolled."""

    def __init__(self, weights: Weights, x: Tensor, state: Tensor, activation: str) -> None:
        self._weights, self._activation = weights, activation
        given = x @ weights.input.T + (weights.bias + weights.hidden_bias)
        hidden, bent = [state], torch.tanh if activation == "Tanh" else torch.relu
        self._before = []
        for a in given:
            self._before.append(torch.addmm(a, hidden[-1], weights.hidden.T))
            hidden.append(bent(self._before[-1]))
        self.hidden = torch.stack(hidden)
        out = self.hidden[1:]
        self._slope = 1 - out * out if activation == "Tanh" else (out > 0).to(out.dtype)

    def back(self, read: Tensor, last: Tensor | None, at_end: Tensor) -> Tensor:
        coming = torch.zeros_like(read[0])
        heard, inside = [], []
        for said, slope in zip(read.flip(0), self._slope.flip(0), strict=True):
            heard.append(said + coming)
            inside.append(heard[-1] * slope)
            coming = inside[-1] @ self._weights.hidden
        self.heard, self._inside = torch.stack(heard).flip(0), torch.stack(inside).flip(0)
        return self._inside @ self._weights.input

    def ways(self, steps: Sequence[int], which: int) -> list[Way]:
        inside = self._inside[list(steps), which]
        given = moments(torch.stack([self._before[t] for t in steps]))
        bent = Stage(self._activation, norms(inside), given)
        return [Way("state", (bent, Stage(WEIGHTS, norms(inside @ self._weights.hidden))))]
