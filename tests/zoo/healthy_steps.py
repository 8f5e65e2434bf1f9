"""Uneven steps that do no harm: spikes that pass, losses that rise for a reason, clipping as a recipe."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, adamw, classify, next_character, regress, sample, sgd, train
from tests.zoo.models import CharTransformer, cnn, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def steady(name, note, **fields):
    return case(name, **({"family": "steps", "note": note, "steps": 80} | fields))


def he_mlp(outputs=10, inputs=64):
    return mlp(2, 64, nn.ReLU, "he", inputs=inputs, outputs=outputs)


def odd_batch(x, y, change, at=(25,), size=64):
    batch, count = sample(x, y, size), 0

    def draw(generator):
        nonlocal count
        count += 1
        found = batch(generator)
        return change(*found) if count - 1 in at else found

    return draw


@steady("one-odd-batch-clipped", "One batch a hundred times too bright, under a clipped norm.")
def _():
    model = he_mlp()
    batch = odd_batch(*data.digits(), lambda x, y: (100 * x, y))
    return train(model, sgd(model, 0.05), batch, F.cross_entropy, baseline=LN10, clip=1.0)


@steady("one-odd-batch-adam", "One batch with labels of another order, three times as bright, under Adam.")
def _():
    model = he_mlp()
    batch = odd_batch(*data.digits(), lambda x, y: (3 * x, y.roll(1)))
    return train(model, adam(model, 2e-3), batch, F.cross_entropy, baseline=LN10)


@steady(
    "heavy-tailed-regression",
    "Targets with outliers in every fifth batch: norms are heavy-tailed.",
    steps=120,
)
def _():
    x, y = data.teacher()

    def batch(generator):
        rows = torch.randint(len(x), (64,), generator=generator)
        wild = torch.rand(64, 1, generator=generator) < 0.004
        return x[rows], y[rows] + 25 * wild * torch.randn(64, 1, generator=generator)

    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    return train(model, adam(model, 5e-3), batch, F.smooth_l1_loss, baseline=0.45, clip=1.0)


@steady(
    "task-changes-half-way",
    "From step 40 on the labels are numbered anew: the loss jumps and falls.",
    steps=120,
)
def _():
    x, y = data.digits()
    batch, count = sample(x, y), 0

    def draw(generator):
        nonlocal count
        count += 1
        a, b = batch(generator)
        return a, (b if count <= 40 else (b + 3) % 10)

    model = he_mlp()
    return train(model, adam(model, 5e-3), draw, F.cross_entropy, baseline=LN10)


@steady(
    "harder-and-harder", "Noise on the images grows with the steps, and with it the loss.", truth="checked"
)
def _():
    x, y = data.digits()
    batch, count = sample(x, y, 128), 0

    def draw(generator):
        nonlocal count
        count += 1
        a, b = batch(generator)
        return a + 0.03 * count * torch.randn(a.shape, generator=generator), b

    model = he_mlp()

    def check():
        return (model(x).argmax(1) == y).float().mean().item() > 0.8

    return train(model, adam(model, 3e-3), draw, F.cross_entropy, baseline=LN10, check=check)


@steady("loss-weight-grows", "An auxiliary loss is weighted in: the sum rises, its parts fall.", steps=100,
        truth="checked")  # fmt: skip
def _():
    x, y = data.digits()
    model = he_mlp()
    count = 0

    def loss(out, labels):
        nonlocal count
        count += 1
        return (1 + 0.05 * count) * F.cross_entropy(out, labels)

    def check():
        return F.cross_entropy(model(x), y).item() < 1.0

    return classify(model, sgd(model, 0.02), loss=loss, check=check)


@steady("transformer-clipped-at-every-step", "AdamW and a norm clipped at 0.25 at nearly every step.",
        steps=120)  # fmt: skip
def _():
    model = CharTransformer(data.text()[1], 2)
    return next_character(model, adamw(model, 5e-3), clip=0.25)


@steady("adam-clipped-to-1e-3", "Adam does not mind a factor that hardly changes.")
def _():
    model = he_mlp()
    return classify(model, adam(model, 3e-3), clip=1e-3)


@steady(
    "sgd-normalized-on-purpose", "A norm clipped to 0.1 and a rate to match: normalized gradient descent."
)
def _():
    model = he_mlp()
    return classify(model, sgd(model, 0.7), clip=0.1)


@steady("clipping-cuts-the-rare", "A limit of five over norms of about two.")
def _():
    model = cnn(3, 16, nn.ReLU, "he", norm=nn.BatchNorm2d)
    return classify(model, sgd(model, 0.05, 0.9), images=True, size=32, clip=5.0)


@steady(
    "edge-of-stability",
    "Full batches at a rate near the edge: not each step lowers the loss.",
    steps=100,
)
def _():
    x, y = data.teacher()
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    return train(model, sgd(model, 0.15), lambda generator: (x, y), F.mse_loss, baseline=1.0)


@steady("warm-restarts", "A cosine schedule with restarts: the loss rises a little at each.", steps=120)
def _():
    model = he_mlp()
    optimizer = sgd(model, 0.2, 0.9)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + math.cos(math.pi * (step % 40) / 40))

    return classify(model, optimizer, schedule=schedule)


@steady(
    "gradients-of-rare-words", "A batch with a rare class now and then: large, harmless gradients.", steps=120
)
def _():
    x, y = data.digits()
    kept = (y != 7) | (torch.arange(len(y)) % 40 == 0)
    model = he_mlp()
    return train(model, adam(model, 3e-3), sample(x[kept], y[kept], 16), F.cross_entropy, baseline=2.2)


@steady("regression-sum-loss-clipped", "A summed loss, clipped to one, with a rate for one.", steps=150)
def _():
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)

    def loss(out, y):
        return (out - y).square().sum()

    training = regress(model, sgd(model, 0.05), loss=loss, clip=1.0, baseline=64.0)
    return Training(training.models, training.optimizers, training.step, 64.0)
