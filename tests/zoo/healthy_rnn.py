"""Recurrent nets that are well, or whose short memory the task does not need."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, add_numbers, classify, next_character, recall_first, rmsprop, sgd
from tests.zoo.models import Recurrent, UnrolledRNN
from torch import nn


def rnn_case(name, note, **fields):
    return case(name, family="rnn", note=note, **({"steps": 60} | fields))


class Rows(nn.Module):
    """Reads a digit row by row: eight steps of eight pixels."""

    def __init__(self, core, hidden):
        super().__init__()
        self.core = core
        self.readout = nn.Linear(hidden, 10)

    def forward(self, x):
        states, _ = self.core(x.view(-1, 8, 8))
        return self.readout(states[:, -1])


@rnn_case("rnn-rows-of-digits", "A tanh RNN over eight rows.", steps=80)
def _():
    model = Rows(nn.RNN(8, 64, batch_first=True), 64)
    return classify(model, adam(model, 3e-3))


@rnn_case("lstm-rows-of-digits", "An LSTM over eight rows.", steps=80)
def _():
    model = Rows(nn.LSTM(8, 48, batch_first=True), 48)
    return classify(model, adam(model, 1e-2))


@rnn_case("gru-rows-of-digits-rmsprop", "A GRU over eight rows, RMSprop.", steps=80)
def _():
    model = Rows(nn.GRU(8, 48, batch_first=True), 48)
    return classify(model, rmsprop(model, 3e-3))


@rnn_case("bidirectional-lstm-2-layers", "Two bidirectional layers.", steps=80)
def _():
    model = Rows(nn.LSTM(8, 32, num_layers=2, bidirectional=True, batch_first=True), 64)
    return classify(model, adam(model, 1e-2))


class CharRNN(nn.Module):
    """Predicts the next character from a recurrent state."""

    def __init__(self, core, hidden, width=24):
        super().__init__()
        self.embedding = nn.Embedding(data.text()[1], width)
        self.core = core
        self.head = nn.Linear(hidden, data.text()[1])

    def forward(self, tokens):
        states, _ = self.core(self.embedding(tokens))
        return self.head(states)


@rnn_case(
    "rnn-text-100-steps-of-no-reach",
    "A tanh RNN over windows of 100 characters: the gradient from the last to the first is nil, and the"
    " task, with"
    " a loss at each step, does not need it.",
)
def _():
    model = CharRNN(nn.RNN(24, 64, batch_first=True), 64)
    return next_character(model, adam(model, 1e-2), length=100)


@rnn_case("lstm-text", "A character LSTM.", steps=80)
def _():
    model = CharRNN(nn.LSTM(24, 64, batch_first=True), 64)
    return next_character(model, adam(model, 1e-2), size=16)


@rnn_case("gru-text-clipped", "A character GRU with clipping.", steps=80)
def _():
    model = CharRNN(nn.GRU(24, 64, batch_first=True), 64)
    return next_character(model, adam(model, 1e-2), clip=0.5, size=16)


@rnn_case(
    "rnn-unrolled-20-last-symbol",
    "An RNN unrolled by hand over 20 steps; the answer is in the last input.",
)
def _():
    model = UnrolledRNN(4, 32, outputs=4)

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = model

        def forward(self, x):
            return self.rnn(x.flip(1))

    net = Last()
    return recall_first(net, adam(net, 3e-3), length=20)


@rnn_case("rnn-orthogonal-recall-15", "Orthogonal recurrent weights hold the first of 15 inputs.", steps=120)
def _():
    model = UnrolledRNN(4, 48, outputs=4)
    nn.init.orthogonal_(model.recurrent.weight)
    return recall_first(model, adam(model, 3e-3), length=15)


@rnn_case("irnn-recall-30", "Le et al. 2015: ReLU and identity recurrence.", steps=100)
def _():
    core = nn.RNN(4, 48, nonlinearity="relu", batch_first=True)
    nn.init.eye_(core.weight_hh_l0)
    nn.init.zeros_(core.bias_hh_l0)
    nn.init.zeros_(core.bias_ih_l0)
    model = Recurrent(core, 48, outputs=4)
    return recall_first(model, adam(model, 1e-3), length=30, clip=1.0)


@rnn_case(
    "lstm-forget-open-recall-40", "Forget-gate bias 4 in all: the first of 40 inputs is kept.", steps=100
)
def _():
    core = nn.LSTM(4, 48, batch_first=True)
    with torch.no_grad():
        core.bias_ih_l0[48:96] = 4
    model = Recurrent(core, 48, outputs=4)
    return recall_first(model, adam(model, 1e-2), length=40)


@rnn_case("lstm-adding-10", "The adding problem over ten steps.", steps=250)
def _():
    model = Recurrent(nn.LSTM(2, 48, batch_first=True), 48)
    return add_numbers(model, adam(model, 2e-2), length=10, size=64)


@rnn_case(
    "rnn-mean-pooled", "States averaged over 60 steps: each step has a short way to the loss.", steps=150
)
def _():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.RNN(4, 32, batch_first=True)
            self.readout = nn.Linear(32, 4)

        def forward(self, x):
            return self.readout(10 * self.core(x)[0].mean(1))

    model = Pooled()
    return recall_first(model, adam(model, 1e-2), length=60)


@rnn_case("truncated-backpropagation", "The state is detached every ten characters, by design.", steps=60)
def _():
    class Truncated(CharRNN):
        def forward(self, tokens):
            state, outputs = None, []
            for piece in self.embedding(tokens).split(10, dim=1):
                states, state = self.core(piece, None if state is None else state.detach())
                outputs.append(states)
            return self.head(torch.cat(outputs, dim=1))

    model = Truncated(nn.GRU(24, 64, batch_first=True), 64)
    return next_character(model, adam(model, 1e-2), length=40)


@rnn_case("lstm-stacked-2-sgd", "Two LSTM layers on rows, SGD with momentum.", steps=250)
def _():
    model = Rows(nn.LSTM(8, 32, num_layers=2, batch_first=True), 32)
    return classify(model, sgd(model, 0.5, momentum=0.9))
