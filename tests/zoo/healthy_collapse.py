"""Nets whose samples look alike and that tell them apart all the same."""

import math

from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, classify, sample, sgd, train
from tests.zoo.models import mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def alike(name, note, **fields):
    return case(name, **({"family": "collapse", "note": note, "steps": 80} | fields))


@alike("relu-30-he-alike", "Thirty He layers: a cosine near 1 that training opens again.", steps=100)
def _():
    model = mlp(30, 64, nn.ReLU, "he")
    return classify(model, adam(model, 5e-4))


@alike("offset-of-three", "Inputs with 3 added: samples point one way, and are told apart.")
def _():
    x, y = data.digits()
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, adam(model, 3e-3), sample(x + 3, y), F.cross_entropy, baseline=LN10)


@alike("one-class-batches-converged", "Batches of one class of a trained net: all alike, as they should be.",
       truth="converged")  # fmt: skip
def _():
    x, y = data.digits()
    model = mlp(2, 64, nn.ReLU, "he")
    before = classify(model, adam(model, 3e-3))
    for _ in range(150):
        before.step()
    rows = (y == 3).nonzero().squeeze(1)
    return train(model, sgd(model, 1e-4), sample(x[rows], y[rows]), F.cross_entropy, baseline=LN10)


@alike(
    "sigmoid-positive-activations", "Sigmoids are positive: a cosine near 1 in every hidden layer.", steps=150
)
def _():
    model = mlp(2, 64, nn.Sigmoid, "xavier")
    return classify(model, adam(model, 1e-2))


@alike("bottleneck-of-one", "A bottleneck of one unit: all samples lie on one line.", steps=250)
def _():
    x, y = data.teacher()
    parts = [
        mlp(1, 32, nn.Tanh, "xavier", inputs=16, outputs=1),
        mlp(1, 32, nn.Tanh, "xavier", inputs=1, outputs=1),
    ]
    model = nn.Sequential(*parts)
    return train(model, adam(model, 1e-2), sample(x, y, 128), F.mse_loss, baseline=1.0)
