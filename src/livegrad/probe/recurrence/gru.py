"""nn.GRU, one layer and direction.

    r, z = σ(W_ih x_t + W_hh h_{t-1} + b)
    n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),   h_t = (1 − z) n + z h_{t-1}

Going back, z of the gradient stays with the state; each of r, z and n brings a part through its own block of
W_hh.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from livegrad.probe.recurrence.layer import KEPT, WEIGHTS, Stage, Unrolled, Way, Weights, moments, norms

_GATES = ("reset gate", "update gate", "candidate")


class GRU(Unrolled):
    """See livegrad.probe.recurrence.layer.Unrolled."""

    def __init__(self, weights: Weights, x: Tensor, state: Tensor) -> None:
        self._weights = weights
        size = state.shape[-1]
        given = x @ weights.input.T + weights.bias
        hidden, gates, candidates, passed, before = [state], [], [], [], []
        for a in given:
            b = torch.addmm(weights.hidden_bias, hidden[-1], weights.hidden.T)
            before.append((a + b)[:, size : 2 * size])
            gate = torch.sigmoid(a[:, : 2 * size] + b[:, : 2 * size])
            r, z = gate.chunk(2, 1)
            n = torch.tanh(torch.addcmul(a[:, 2 * size :], r, b[:, 2 * size :]))
            hidden.append(n + z * (hidden[-1] - n))
            gates.append(gate)
            candidates.append(n)
            passed.append(b[:, 2 * size :])
        self.hidden, self._before = torch.stack(hidden), before
        r, self._kept = torch.stack(gates).chunk(2, 2)
        n, z = torch.stack(candidates), self._kept
        new = (1 - z) * (1 - n * n)
        update = (self.hidden[:-1] - n) * z * (1 - z)
        # What reaches the gates from inside, and what of it the recurrent weights are given.
        self._slopes = torch.cat([new * torch.stack(passed) * r * (1 - r), update, new], 2)
        self._gated = torch.cat([torch.ones_like(r), torch.ones_like(r), r], 2)

    def back(self, read: Tensor, last: Tensor | None, at_end: Tensor) -> Tensor:
        coming = torch.zeros_like(read[0])
        heard, inside = [], []
        for t in range(len(read) - 1, -1, -1):
            h = read[t] + coming
            inside.append(torch.cat([h, h, h], -1) * self._slopes[t])
            heard.append(h)
            coming = (inside[-1] * self._gated[t]) @ self._weights.hidden + h * self._kept[t]
        self.heard, self._inside = torch.stack(heard).flip(0), torch.stack(inside).flip(0)
        return self._inside @ self._weights.input

    def ways(self, steps: Sequence[int], which: int) -> list[Way]:
        at = list(steps)
        given = moments(torch.stack([self._before[t] for t in at]))
        found = [Way(KEPT, (Stage(KEPT, norms(self.heard[at, which] * self._kept[at]), given),))]
        inside = (self._inside[at, which] * self._gated[at]).chunk(3, -1)
        for name, gradient, block in zip(_GATES, inside, self._weights.hidden.chunk(3), strict=True):
            found.append(Way(name, (Stage(name, norms(gradient)), Stage(WEIGHTS, norms(gradient @ block)))))
        return found
