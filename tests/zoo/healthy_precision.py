"""Half precision that works."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, sample, sgd
from tests.zoo.models import cnn, mlp
from tests.zoo.sick_precision import faint, mixed
from torch import nn
from torch.nn import functional as F


def holds(name, note, **fields):
    return case(name, **({"family": "precision", "note": note, "steps": 80} | fields))


def scaler(**options):
    return torch.amp.GradScaler("cpu", **options)


@holds("autocast-with-scaler", "float16 with a GradScaler, as in the manual.")
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    return mixed(model, adam(model, 3e-3), faint(1.0), sample(*data.digits()), scaler=scaler())


@holds("autocast-large-scale-found-by-halving", "A first scale of 2³⁰: a dozen halvings, then peace.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    made = scaler(init_scale=2.0**30)
    return mixed(model, adam(model, 3e-3), faint(1.0), sample(*data.digits()), scaler=made)


@holds("autocast-float16-unscaled-but-large", "A summed loss needs no scale.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")

    def loss(out, y):
        return F.cross_entropy(out.float(), y, reduction="sum")

    return mixed(model, adam(model, 3e-3), loss, sample(*data.digits()), baseline=64 * 2.3026)


@holds("autocast-bfloat16-tiny-loss", "A loss of 1e-5 in bfloat16, whose range is float32's.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    batch = sample(*data.digits())
    return mixed(model, sgd(model, 5e3), faint(1e-5), batch, dtype=torch.bfloat16, baseline=2.3026e-5)


@holds("autocast-scaled-tiny-loss", "A loss of 1e-5 in float16 that the scaler lifts.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    batch = sample(*data.digits())
    return mixed(model, sgd(model, 5e3), faint(1e-5), batch, scaler=scaler(), baseline=2.3026e-5)


@holds("autocast-cnn-scaler-sgd", "A CNN with BatchNorm in float16.")
def _():
    model = cnn(3, 16, nn.ReLU, "he", norm=nn.BatchNorm2d)
    images, y = data.digit_images()
    return mixed(model, sgd(model, 0.05, 0.9), faint(1.0), sample(images, y, 32), scaler=scaler())


@holds("autocast-embedding-mostly-zero", "A sparse table: zeros by structure in its gradient.",
       steps=150)  # fmt: skip
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(2000, 32), nn.Linear(32, 10)

        def forward(self, tokens):
            return self.head(self.table(tokens).mean(1))

    x, y = data.digits()
    tokens = (x > 0).long() * torch.arange(1, 65) + (x > 1).long() * 64
    model = Net()
    return mixed(model, adam(model, 1e-2), faint(1.0), sample(tokens, y), scaler=scaler())


@holds(
    "autocast-converged",
    "Trained to nothing in float16: gradients are small because the outputs fit.",
    truth="converged",
)
def _():
    x, y = data.digits()
    batch = sample(x[:64], y[:64])
    model = mlp(2, 64, nn.ReLU, "he")
    before = mixed(model, adam(model, 5e-3), faint(1.0), batch, scaler=scaler())
    for _ in range(150):
        before.step()
    return mixed(model, adam(model, 1e-4), faint(1.0), batch, scaler=scaler())
