"""Recurrent layers of every layout that are well: both directions, packed, projected, several layers."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, classify, next_character, recall_first, train
from tests.zoo.models import Recurrent
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence


def lanes_case(name, note, **fields):
    return case(name, family="rnn", note=note, **({"steps": 80} | fields))


class Packed(nn.Module):
    """Reads sequences of different lengths, packed, and answers from the final state of the top layer."""

    def __init__(self, core, hidden, outputs=4, shortest=0.5):
        super().__init__()
        self.core, self.readout, self.shortest = core, nn.Linear(hidden, outputs), shortest

    def forward(self, x):
        first = int(self.shortest * x.shape[1])
        lengths = torch.linspace(first, x.shape[1], len(x)).long()
        given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.core(given)
        return self.readout((state[0] if isinstance(state, tuple) else state)[-1])


class BothEnds(nn.Module):
    """Answers from the last state of either direction."""

    def __init__(self, core, hidden, outputs=4):
        super().__init__()
        self.core, self.readout = core, nn.Linear(2 * hidden, outputs)

    def forward(self, x):
        state = self.core(x)[1]
        state = state[0] if isinstance(state, tuple) else state
        return self.readout(torch.cat([state[-2], state[-1]], 1))


class TimeFirst(nn.Module):
    """Hands a recurrent module its input with time first, and answers from the last output."""

    def __init__(self, core, hidden, outputs=4):
        super().__init__()
        self.core, self.readout = core, nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.readout(self.core(x.transpose(0, 1))[0][-1])


def recall_last(model, optimizer, length, size=32):
    """Name the last of `length` inputs."""

    def draw(generator):
        x, y = data.recall(size, length, generator)
        return x.flip(1), y

    return train(model, optimizer, draw, loss=F.cross_entropy, baseline=math.log(4))


@lanes_case(
    "bidirectional-lstm-recall-first-100",
    "The first of 100 inputs is the last that the reverse direction reads: both ends are near.",
)
def _():
    model = BothEnds(nn.LSTM(4, 32, batch_first=True, bidirectional=True), 32)
    return recall_first(model, adam(model, 1e-2), length=100)


@lanes_case("bidirectional-gru-2-layers-rows", "Two bidirectional GRU layers on rows of digits.")
def _():
    class Rows(BothEnds):
        def forward(self, x):
            return super().forward(x.view(-1, 8, 8))

    model = Rows(nn.GRU(8, 32, num_layers=2, batch_first=True, bidirectional=True), 32, outputs=10)
    return classify(model, adam(model, 1e-2))


@lanes_case("packed-gru-last-symbol-80", "Eighty inputs, packed; only the last is asked for.")
def _():
    model = Packed(nn.GRU(4, 32, batch_first=True), 32, shortest=1.0)
    return recall_last(model, adam(model, 1e-2), length=80)


@lanes_case("packed-lstm-short-recall", "Lengths from 4 to 8, packed: short enough for any gate.", steps=150)
def _():
    model = Packed(nn.LSTM(4, 32, batch_first=True), 32)
    return recall_first(model, adam(model, 1e-2), length=8)


@lanes_case("projected-lstm-text", "A character LSTM whose state is projected to a third.")
def _():
    class Projected(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 24)
            self.core = nn.LSTM(24, 64, proj_size=20, batch_first=True)
            self.head = nn.Linear(20, data.text()[1])

        def forward(self, tokens):
            return self.head(self.core(self.embedding(tokens))[0])

    model = Projected()
    return next_character(model, adam(model, 1e-2), length=60)


@lanes_case(
    "rnn-2-layers-time-first-last-symbol-60", "Two tanh layers forget 59 of 60 inputs; the last is asked."
)
def _():
    model = TimeFirst(nn.RNN(4, 32, num_layers=2), 32)
    return recall_last(model, adam(model, 1e-2), length=60)


@lanes_case("bidirectional-rnn-tagging-60", "Every one of 60 entries gets a label of its own.")
def _():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.RNN(4, 24, batch_first=True, bidirectional=True)
            self.readout = nn.Linear(48, 4)

        def forward(self, x):
            return self.readout(self.core(x)[0]).transpose(1, 2)

    def draw(generator):
        y = torch.randint(4, (16, 60), generator=generator)
        return F.one_hot(y, 4) + 0.3 * torch.randn(16, 60, 4, generator=generator), y

    model = Tagger()
    return train(model, adam(model, 1e-2), draw, loss=F.cross_entropy, baseline=math.log(4))


@lanes_case("lstm-2-layers-open-gates-recall-20", "Two layers whose forget gates start open.", steps=200)
def _():
    core = nn.LSTM(4, 32, num_layers=2, batch_first=True)
    with torch.no_grad():
        for layer in range(2):
            getattr(core, f"bias_ih_l{layer}")[32:64] = 3
    model = Recurrent(core, 32, outputs=4)
    return recall_first(model, adam(model, 1e-2), length=20)
