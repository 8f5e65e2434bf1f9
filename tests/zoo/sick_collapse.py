"""Nets whose layers map every sample onto one vector, while gradients pass."""

import torch
from tests.zoo.case import case
from tests.zoo.loops import classify, sgd
from tests.zoo.models import mlp
from torch import nn


def collapsed(name, note, **fields):
    options = {"family": "collapse", "note": note, "expect": "LG203", "truth": "stuck", "steps": 40}
    return case(name, **(options | {"tolerated": "LG101 LG103 LG402 LG503"} | fields))


def offset_mlp(offset, depth=6, activation=nn.ReLU, width=64):
    model = mlp(depth, width, activation, "he")
    with torch.no_grad():
        for module in model[:-1]:
            if isinstance(module, nn.Linear):
                module.bias.fill_(offset)
                module.weight -= module.weight.mean(dim=1, keepdim=True)
    return model


class Offset(nn.Module):
    """A constant vector added to each activation."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x + self.size


@collapsed("biases-of-a-hundred-relu", "Biases of 100 in every layer: what differs is lost beside them.")
def _():
    return _offset(100.0, 3, 1e-7)


def _offset(size, depth, rate):
    model = offset_mlp(size, depth)
    return classify(model, sgd(model, rate))


@collapsed("constants-added-in-forward", "Each layer's output has 60 added to it.", expect="LG203 LG101")
def _():
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(64, 64), nn.ReLU(), Offset(60.0)]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    return classify(model, sgd(model, 1e-6))


@collapsed("relu-300-he-sgd", "Three hundred plain He layers: samples become alike with depth.")
def _():
    model = mlp(300, 64, nn.ReLU, "he")
    return classify(model, sgd(model, 1e-4))


@collapsed("leaky-300-he-momentum", "Three hundred plain leaky layers under momentum.", expect="LG203 LG101")
def _():
    model = mlp(300, 48, nn.LeakyReLU, "he")
    return classify(model, sgd(model, 3e-5, 0.9))


@collapsed(
    "rank-one-layer", "One layer's weights have rank one, and its bias is large.", expect="LG203 LG101"
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    with torch.no_grad():
        model[2].weight.copy_(torch.ones(64, 1) @ model[2].weight[:1] / 8)
        model[2].bias.fill_(30.0)
    return classify(model, sgd(model, 1e-5))


@collapsed("relu-200-he-wide", "Two hundred plain He layers of width 96 under SGD.")
def _():
    model = mlp(200, 96, nn.ReLU, "he")
    return classify(model, sgd(model, 1e-4))
