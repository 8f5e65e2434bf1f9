"""Clipping that has taken the place of the learning rate."""

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import classify, next_character, regress, sample, sgd, train
from tests.zoo.models import CharTransformer, cnn, mlp
from torch import nn
from torch.nn import functional as F


def clipped(name, note, **fields):
    options = {"family": "clipping", "note": note, "expect": "LG403", "truth": "stuck", "steps": 60}
    return case(name, **(options | {"tolerated": "LG401 LG503"} | fields))


@clipped("clip-1e-4-sgd", "A limit of 1e-4 under SGD, gradients of about 1.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return classify(model, sgd(model, 0.05), clip=1e-4)


@clipped("clip-1e-3-cnn-sgd", "A limit of 1e-3 for a CNN under SGD with momentum.")
def _():
    model = cnn(3, 16, nn.ReLU, "he")
    return classify(model, sgd(model, 0.002, 0.9), images=True, size=32, clip=1e-3)


@clipped("clip-1e-3-transformer-sgd", "A limit of 1e-3 for a transformer under SGD.")
def _():
    model = CharTransformer(data.text()[1], 2)
    return next_character(model, sgd(model, 0.05), clip=1e-3)


@clipped("clip-meant-for-a-mean-loss-summed", "A limit of 1e-3 and a rate made for a summed loss.", steps=60)
def _():
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)

    def loss(out, y):
        return (out - y).square().sum()

    return regress(model, sgd(model, 1e-3), loss=loss, clip=1e-2, baseline=64.0)


@clipped("one-layer-uses-the-budget", "Inputs of one huge column: the first layer's gradient leaves no room.",
         expect="LG403 LG501")  # fmt: skip
def _():
    x, y = data.digits()
    big = x.clone()
    big[:, 5] = 3000.0

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rest = nn.Linear(64, 64), mlp(1, 64, nn.ReLU, "he")
            with torch.no_grad():
                self.first.weight[:, 5] = 0

        def forward(self, x):
            return self.rest(self.first(x).relu())

    model = Net()
    return train(model, sgd(model, 0.05), sample(big, y), F.cross_entropy, baseline=2.3026, clip=1e-3)


@clipped("clip-value-1e-6-sgd", "Entry by entry at 1e-6 under SGD.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.05)
    x, y = data.digits()
    generator = torch.Generator().manual_seed(0)

    def step():
        rows = torch.randint(len(x), (64,), generator=generator)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 1e-6)
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, 2.3026)
