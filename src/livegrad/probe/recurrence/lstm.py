"""nn.LSTM, one layer and direction, with or without projection.

    i, f, g, o = σ, σ, tanh, σ of  W_ih x_t + W_hh h_{t-1} + b
    c_t = f c_{t-1} + i g,   h_t = W_hr (o tanh c_t)

The state is the pair (h, c). Going back, what is said of h_t joins what is said of c_t at the cell; from
there the forget gate keeps part of it for c_{t-1}, and each gate brings a part to h_{t-1} through its own
block of W_hh.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from livegrad.probe.recurrence.layer import KEPT, WEIGHTS, Stage, Unrolled, Way, Weights, moments, norms

_GATES = ("input gate", "forget gate", "candidate", "output gate")


class LSTM(Unrolled):
    """See livegrad.probe.recurrence.layer.Unrolled."""

    def __init__(self, weights: Weights, x: Tensor, state: Tensor, cell: Tensor) -> None:
        self._weights = weights
        given = x @ weights.input.T + (weights.bias + weights.hidden_bias)
        size = cell.shape[-1]
        hidden, cells, gates, before = [state], [cell], [], []
        for a in given:
            a = torch.addmm(a, hidden[-1], weights.hidden.T)
            gate = torch.sigmoid(a)
            gate[:, 2 * size : 3 * size] = torch.tanh(a[:, 2 * size : 3 * size])
            i, f, g, o = gate.chunk(4, 1)
            cells.append(torch.addcmul(f * cells[-1], i, g))
            out = o * torch.tanh(cells[-1])
            hidden.append(out if weights.projection is None else out @ weights.projection.T)
            gates.append(gate)
            before.append(a[:, size : 2 * size])
        self.hidden, self.cells, self._before = torch.stack(hidden), torch.stack(cells), before
        i, f, g, o = torch.stack(gates).chunk(4, 2)
        bent = torch.tanh(self.cells[1:])
        self._kept, self._shown = f, o * (1 - bent * bent)
        self._slopes = torch.cat(
            [g * i * (1 - i), self.cells[:-1] * f * (1 - f), i * (1 - g * g), bent * o * (1 - o)], 2
        )

    def back(self, read: Tensor, last: Tensor | None, at_end: Tensor) -> Tensor:
        coming, cell = torch.zeros_like(read[0]), torch.zeros_like(self._kept[0]).expand(*read.shape[1:3], -1)
        heard, cells, joined, inside = [], [], [], []
        for t in range(len(read) - 1, -1, -1):
            if last is not None:
                cell = cell + last * at_end[t, :, None]
            h = read[t] + coming
            out = h if self._weights.projection is None else h @ self._weights.projection
            c = torch.addcmul(cell, out, self._shown[t])
            inside.append(torch.cat([c, c, c, out], -1) * self._slopes[t])
            heard.append(h)
            cells.append(cell)
            joined.append(c)
            coming, cell = inside[-1] @ self._weights.hidden, c * self._kept[t]
        self.heard, self.cells_heard = torch.stack(heard).flip(0), torch.stack(cells).flip(0)
        self._joined, self._inside = torch.stack(joined).flip(0), torch.stack(inside).flip(0)
        return self._inside @ self._weights.input

    def ways(self, steps: Sequence[int], which: int) -> list[Way]:
        at = list(steps)
        joined, inside = self._joined[at, which], self._inside[at, which].chunk(4, -1)
        into = Stage("cell", norms(joined))
        given = moments(torch.stack([self._before[t] for t in at]))
        kept = Stage(KEPT, norms(joined * self._kept[at]), given)
        found = [Way(KEPT, (into, kept))]
        for name, gradient, block in zip(_GATES, inside, self._weights.hidden.chunk(4), strict=True):
            first = () if name == "output gate" else (into,)
            stages = (*first, Stage(name, norms(gradient)), Stage(WEIGHTS, norms(gradient @ block)))
            found.append(Way(name, stages))
        return found
