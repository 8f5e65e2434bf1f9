"""Inputs of a size that the net was not made for."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, behind, sample, sgd, train
from tests.zoo.models import Recurrent, cnn, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def raw(name, note, **fields):
    options = {"family": "inputs", "note": note, "expect": "LG501", "steps": 80}
    return case(name, **(options | {"tolerated": "LG103 LG201 LG202 LG301 LG402 LG503"} | fields))


def grey():
    """Digits as grey values from 0 to 255."""
    x, (_, y) = data.digit_pixels() * 255, data.digits()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order], y


@raw("grey-values-sgd", "Pixels from 0 to 255 under a usual rate of SGD.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, sgd(model, 0.05), sample(*grey()), F.cross_entropy, baseline=LN10)


@raw("grey-values-sigmoid", "Pixels from 0 to 255 into sigmoids.")
def _():
    model = mlp(2, 64, nn.Sigmoid, "xavier")
    return train(model, sgd(model, 0.02), sample(*grey()), F.cross_entropy, baseline=LN10)


@raw("grey-values-cnn-momentum", "Pixels from 0 to 255 into a CNN without normalization.")
def _():
    x, y = grey()
    model = cnn(3, 16, nn.ReLU, "he")
    batch = sample(x.reshape(-1, 1, 8, 8), y, 32)
    return train(model, sgd(model, 0.01, 0.9), batch, F.cross_entropy, baseline=LN10)


@raw("prices-in-cents-regression", "Features of size 1e4 into a regression.", truth="checked")
def _():
    x, y = data.teacher()

    def build(scale):
        model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
        return train(model, sgd(model, 0.05), sample(scale * x, y), F.mse_loss, baseline=1.0)

    return behind(build(1e4), build(1.0), 80)


@raw("one-column-of-years", "One column of years near 2000 beside fifteen of unit size.", steps=120)
def _():
    x, y = data.teacher()
    year = 2000 + 10 * torch.randn(len(x), 1, generator=torch.Generator().manual_seed(3))
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=17, outputs=1)
    return train(model, sgd(model, 0.01), sample(torch.cat([x, year], 1), y), F.mse_loss, baseline=1.0)


@raw("sequence-of-raw-counts-gru", "A GRU fed with counts in the hundreds.", steps=80)
def _():
    def batch(generator):
        x, y = data.recall(32, 15, generator)
        return 3000 * x, y

    model = Recurrent(nn.GRU(4, 24, batch_first=True), 24, 4)
    return train(model, adam(model, 5e-3), batch, F.cross_entropy, baseline=math.log(4))


@raw(
    "signals-in-volts-of-microvolts",
    "Signals of 1e-6 into biases of 0.1: nothing is heard of them.",
    steps=80,
)
def _():
    x, y = data.digits()
    model = mlp(2, 64, nn.Tanh, "xavier")
    return train(model, sgd(model, 0.02), sample(1e-6 * x, y), F.cross_entropy, baseline=LN10)


@raw("offset-of-a-thousand", "Digits with 1000 added: all samples are nearly one vector.", steps=80)
def _():
    x, y = data.digits()
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, adam(model, 1e-3), sample(x + 1000, y), F.cross_entropy, baseline=LN10)
