"""Recurrent nets whose gradient is lost or blows up through time, on tasks that need the reach."""

import torch
from tests.zoo.case import case
from tests.zoo.loops import adam, add_numbers, recall_first, rmsprop, sgd
from tests.zoo.models import Recurrent, UnrolledRNN
from torch import nn

VANISHING = {"family": "rnn", "expect": "LG101 LG102", "tolerated": "LG401"}
EXPLODING = {"family": "rnn", "expect": "LG103 LG104", "tolerated": "LG201 LG301 LG402"}


@case("rnn-tanh-adding-100", note="nn.RNN at default init: about 0.59 per step.", **VANISHING)
def _():
    model = Recurrent(nn.RNN(2, 64, batch_first=True), 64)
    return add_numbers(model, adam(model), length=100, clip=1.0)


@case("rnn-relu-adding-100", note="nn.RNN with ReLU at default init.", **VANISHING)
def _():
    model = Recurrent(nn.RNN(2, 64, nonlinearity="relu", batch_first=True), 64)
    return add_numbers(model, adam(model), length=100)


@case("rnn-tanh-recall-80", note="The first of 80 inputs has to be named.", **VANISHING)
def _():
    model = Recurrent(nn.RNN(4, 64, batch_first=True), 64, outputs=4)
    return recall_first(model, adam(model), length=80)


@case("rnn-unrolled-tanh-recall-60", note="The loop over time is Python code in forward.", **VANISHING)
def _():
    model = UnrolledRNN(4, 48, outputs=4)
    return recall_first(model, adam(model), length=60)


@case("rnn-unrolled-sigmoid-recall-20", note="A sigmoid state loses 0.85 decades a step.", **VANISHING)
def _():
    model = UnrolledRNN(4, 48, torch.sigmoid, outputs=4)
    return recall_first(model, sgd(model, 0.1), length=20)


@case(
    "rnn-unrolled-cell-momentum-recall-60", note="nn.RNNCell stepped by hand, SGD with momentum.", **VANISHING
)
def _():
    class CellNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.RNNCell(4, 48)
            self.readout = nn.Linear(48, 4)

        def forward(self, x):
            state = x.new_zeros(len(x), 48)
            for inputs in x.unbind(1):
                state = self.cell(inputs, state)
            return self.readout(state)

    model = CellNet()
    return recall_first(model, sgd(model, 0.05, momentum=0.9), length=60)


@case("rnn-linear-radius-half-recall-40", note="A linear recurrence of spectral radius 0.5.", **VANISHING)
def _():
    model = UnrolledRNN(4, 32, nn.Identity(), outputs=4)
    nn.init.orthogonal_(model.recurrent.weight, gain=0.5)
    return recall_first(model, sgd(model, 0.1), length=40)


@case("lstm-adding-200", note="Default LSTM gates forget half at each step.", steps=30, **VANISHING)
def _():
    model = Recurrent(nn.LSTM(2, 32, batch_first=True), 32)
    return add_numbers(model, adam(model), length=200, size=16)


@case("gru-recall-120", note="Default GRU gates overwrite a third at each step.", steps=30, **VANISHING)
def _():
    model = Recurrent(nn.GRU(4, 32, batch_first=True), 32, outputs=4)
    return recall_first(model, adam(model), length=120)


@case("lstm-forget-closed-recall-40", note="Forget-gate bias -4: memory lasts one step.", **VANISHING)
def _():
    core = nn.LSTM(4, 32, batch_first=True)
    with torch.no_grad():
        core.bias_ih_l0[32:64] = -4
    model = Recurrent(core, 32, outputs=4)
    return recall_first(model, adam(model), length=40)


@case(
    "rnn-stacked-16-deep",
    family="rnn",
    expect="LG101 LG102",
    tolerated="LG401",
    note="Sixteen stacked tanh RNNs at default init: the short recall of 5 steps fails for depth.",
)
def _():
    model = Recurrent(nn.RNN(4, 32, num_layers=16, batch_first=True), 32, outputs=4)
    return recall_first(model, sgd(model, 0.1), length=5)


@case("rnn-tanh-chaotic-recall-60", note="Recurrent weights of gain 4: chaos.", **EXPLODING)
def _():
    model = UnrolledRNN(4, 64, outputs=4)
    nn.init.normal_(model.recurrent.weight, std=4 / 8)
    return recall_first(model, adam(model), length=60)


@case("rnn-relu-radius-1.5-adding-60", note="ReLU recurrence growing 1.5 per step: 1e10.", **EXPLODING)
def _():
    core = nn.RNN(2, 64, nonlinearity="relu", batch_first=True)
    nn.init.eye_(core.weight_hh_l0)
    with torch.no_grad():
        core.weight_hh_l0.mul_(1.5)
    model = Recurrent(core, 64)
    return add_numbers(model, sgd(model, 1e-3), length=60)


@case("rnn-linear-radius-1.3-adding-100", note="A linear recurrence of spectral radius 1.3.", **EXPLODING)
def _():
    model = UnrolledRNN(2, 32, nn.Identity())
    nn.init.orthogonal_(model.recurrent.weight, gain=1.3)
    return add_numbers(model, rmsprop(model, 1e-4), length=100)
