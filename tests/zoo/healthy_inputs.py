"""Inputs of unusual size that do no harm."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, sample, sgd, train
from tests.zoo.models import cnn, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def bears(name, note, **fields):
    return case(name, **({"family": "inputs", "note": note, "steps": 80} | fields))


def grey():
    x, (_, y) = data.digit_pixels() * 255, data.digits()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order], y


@bears("grey-values-behind-a-norm", "Pixels from 0 to 255, and the net begins with a BatchNorm.")
def _():
    model = nn.Sequential(nn.BatchNorm1d(64), mlp(2, 64, nn.ReLU, "he"))
    return train(model, adam(model, 3e-3), sample(*grey()), F.cross_entropy, baseline=LN10)


@bears("grey-values-divided-inside", "The model divides by 255 itself.", steps=120)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 64, nn.ReLU, "he")

        def forward(self, x):
            return self.net((x / 255 - 0.3) / 0.37)

    model = Net()
    return train(model, adam(model, 2e-3), sample(*grey()), F.cross_entropy, baseline=LN10)


@bears("grey-values-adam-copes", "Pixels from 0 to 255 and Adam at a low rate.", steps=250)
def _():
    model = mlp(1, 64)
    return train(model, adam(model, 1e-3), sample(*grey()), F.cross_entropy, baseline=LN10)


@bears("inputs-all-positive", "Pixels in [0, 1]: samples point the same way, as pictures do.")
def _():
    x, (_, y) = data.digit_pixels(), data.digits()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, adam(model, 3e-3), sample(x[order], y), F.cross_entropy, baseline=LN10)


@bears("large-inputs-small-first-weights", "Inputs of size 50 and first weights scaled to them.")
def _():
    x, y = data.digits()
    model = mlp(2, 64, nn.ReLU, "he")
    with torch.no_grad():
        next(model.parameters()).div_(50)
    return train(model, adam(model, 1e-3), sample(50 * x, y), F.cross_entropy, baseline=LN10)


@bears("sparse-counts", "Word counts: mostly zero, now and then large.")
def _():
    x, y = data.digits()
    counts = F.relu(x - 0.5).round() * 4
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, adam(model, 2e-3), sample(counts, y), F.cross_entropy, baseline=LN10)


@bears("constant-border-pixels", "Images with a border that never changes.")
def _():
    images, y = data.digit_images()
    model = cnn(3, 16, nn.ReLU, "he", norm=nn.BatchNorm2d)
    batch = sample(F.pad(images, (3, 3, 3, 3), value=4.0), y, 32)
    return train(model, adam(model, 5e-3), batch, F.cross_entropy, baseline=LN10)


@bears("one-number-in", "A single feature: all samples lie on a line, as they must.", steps=150)
def _():
    x = torch.linspace(-1, 1, 512).unsqueeze(1)
    y = torch.sin(3 * x)
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=1, outputs=1)
    return train(model, adam(model, 1e-2), sample(x, y), F.mse_loss, baseline=y.var().item())


@bears("large-inputs-low-rate-sgd", "Inputs of size 20 under a rate of SGD that suits them.", steps=250)
def _():
    x, y = data.digits()
    model = mlp(1, 64)
    return train(model, sgd(model, 1e-3), sample(20 * x, y), F.cross_entropy, baseline=LN10)
