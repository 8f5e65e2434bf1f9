"""Autoencoders that cannot learn for their depth or their units."""

import torch
from tests.zoo.case import case
from tests.zoo.loops import adam, reconstruct, rmsprop, sgd
from tests.zoo.models import FunctionalMLP, initialize
from torch import nn
from torch.nn import functional as F


def stack(sizes, activation, init=None):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[i], sizes[i + 1]), activation()]
    model = nn.Sequential(*layers[:-1])
    initialize(model, init)
    return model


HOURGLASS = [64, 56, 48, 40, 32, 24, 16, 8, 16, 24, 32, 40, 48, 56, 64]
STUCK = {"family": "autoencoder", "expect": "LG101", "tolerated": "LG401"}


@case(
    "autoencoder-14-sigmoid-std-0.1",
    note="The deep autoencoder of Hinton & Salakhutdinov (2006) without their pretraining: it answers"
    " with the"
    " mean image.",
    **STUCK,
)
def _():
    model = stack(HOURGLASS, nn.Sigmoid, "std=0.1")
    return reconstruct(model, sgd(model, 0.5, momentum=0.9))


@case("autoencoder-14-tanh-default", note="Fourteen tanh layers at default init, SGD.", **STUCK)
def _():
    model = stack(HOURGLASS, nn.Tanh)
    return reconstruct(model, sgd(model, 0.5))


@case("autoencoder-28-relu-default-adam", note="28 ReLU layers at default init.", **STUCK)
def _():
    model = stack([64] + [32] * 12 + [8] + [32] * 14 + [64], nn.ReLU)
    return reconstruct(model, adam(model))


@case("autoencoder-functional-sigmoid-16", note="torch.sigmoid in forward, RMSprop.", **STUCK)
def _():
    model = FunctionalMLP(16, 48, torch.sigmoid, "xavier", outputs=64)
    return reconstruct(model, rmsprop(model))


@case("autoencoder-conv-24-default", note="Twenty-four plain convolutions at default init.", **STUCK)
def _():
    layers = [nn.Conv2d(1, 12, 3, padding=1), nn.ReLU()]
    for _ in range(22):
        layers += [nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(12, 1, 3, padding=1))
    return reconstruct(model, sgd(model, 0.1), images=True, size=32)


@case(
    "autoencoder-dead-bottleneck",
    family="autoencoder",
    expect="LG202",
    tolerated="LG101 LG401 LG404",
    note="The bottleneck's ReLU has a bias of -20: it is zero for every image, no gradient passes.",
    layers="encoder",
)
def _():
    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 12))
            self.decoder = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 64))
            nn.init.constant_(self.encoder[2].bias, -20)

        def forward(self, x):
            return self.decoder(F.relu(self.encoder(x)))

    model = Autoencoder()
    return reconstruct(model, adam(model, 3e-3))
