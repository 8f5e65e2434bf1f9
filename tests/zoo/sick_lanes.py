"""Recurrent layers of every layout that forget, or explode: both directions, packed, projected, several
layers.
"""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.healthy_lanes import BothEnds, Packed, TimeFirst
from tests.zoo.loops import adam, recall_first, sgd, train
from tests.zoo.models import Recurrent
from torch import nn
from torch.nn import functional as F

VANISHING = {"family": "rnn", "expect": "LG101 LG102", "tolerated": "LG401"}
EXPLODING = {"family": "rnn", "expect": "LG103 LG104", "tolerated": "LG201 LG301 LG402"}


def recall_middle(model, optimizer, length, size=32):
    """Name the input in the middle of `length`."""

    def draw(generator):
        x, y = data.recall(size, length, generator)
        return x.roll(length // 2, 1), y

    return train(model, optimizer, draw, loss=F.cross_entropy, baseline=math.log(4))


@case("bidirectional-lstm-recall-middle-100", note="Fifty steps from either end.", **VANISHING)
def _():
    model = BothEnds(nn.LSTM(4, 32, batch_first=True, bidirectional=True), 32)
    return recall_middle(model, adam(model), 100)


@case("bidirectional-rnn-2-layers-recall-middle-60", note="Thirty tanh steps from either end.", **VANISHING)
def _():
    model = BothEnds(nn.RNN(4, 32, num_layers=2, batch_first=True, bidirectional=True), 32)
    return recall_middle(model, adam(model), 60)


@case("packed-gru-recall-first-120", note="Lengths from 60 to 120, packed.", **VANISHING)
def _():
    model = Packed(nn.GRU(4, 32, batch_first=True), 32)
    return recall_first(model, adam(model), length=120)


@case("packed-bidirectional-gru-recall-middle-120", note="Packed, both ways.", **VANISHING)
def _():
    model = Packed(nn.GRU(4, 32, batch_first=True, bidirectional=True), 32, shortest=0.8)
    return recall_middle(model, adam(model), 120)


@case("projected-lstm-recall-80", note="A projected state, default gates.", **VANISHING)
def _():
    model = Recurrent(nn.LSTM(4, 32, proj_size=12, batch_first=True), 12, outputs=4)
    return recall_first(model, adam(model), length=80)


@case("gru-3-layers-time-first-recall-100", note="Time is the first dimension.", **VANISHING)
def _():
    model = TimeFirst(nn.GRU(4, 32, num_layers=3), 32)
    return recall_first(model, adam(model), length=100)


@case("lstm-2-layers-read-by-state-recall-120", note="The final state of the top layer answers.", **VANISHING)
def _():
    class State(nn.Module):
        def __init__(self):
            super().__init__()
            self.core, self.readout = nn.LSTM(4, 32, num_layers=2, batch_first=True), nn.Linear(32, 4)

        def forward(self, x):
            return self.readout(self.core(x)[1][0][-1])

    model = State()
    return recall_first(model, sgd(model, 0.1, momentum=0.9), length=120)


@case("rnn-2-layers-relu-radius-1.5-recall-60", note="Both layers grow by 1.5 a step.", **EXPLODING)
def _():
    core = nn.RNN(4, 32, num_layers=2, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        for layer in range(2):
            nn.init.eye_(getattr(core, f"weight_hh_l{layer}")).mul_(1.5)
    model = Recurrent(core, 32, outputs=4)
    return recall_first(model, sgd(model, 1e-3), length=60)


@case(
    "bidirectional-rnn-relu-radius-1.6-recall-40", note="Either direction grows by 1.6 a step.", **EXPLODING
)
def _():
    core = nn.RNN(4, 32, nonlinearity="relu", batch_first=True, bidirectional=True)
    with torch.no_grad():
        for suffix in ("l0", "l0_reverse"):
            nn.init.eye_(getattr(core, f"weight_hh_{suffix}")).mul_(1.6)
    model = BothEnds(core, 32)
    return recall_middle(model, sgd(model, 1e-3), 40)
