"""Single gradients that are far larger than the others, and what they do to the loss."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, next_character, sample, sgd, train
from tests.zoo.models import CharTransformer, Recurrent, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)
AT = 15


def spiky(name, note, **fields):
    options = {"family": "spike", "note": note, "expect": "LG105", "truth": "checked", "steps": 40}
    return case(name, **(options | {"tolerated": "LG202 LG201 LG103 LG402 LG106 LG101"} | fields))


def thrown_back(training: Training, at: int = AT, times: float = 1.5) -> Training:
    """Checked to have, over the five steps after step `at`, more than `times` the loss of the ten before."""
    losses: list[float] = []

    def step() -> float:
        losses.append(training.step())
        return losses[-1]

    def check() -> bool:
        before, after = losses[at - 10 : at], losses[at + 1 : at + 6]
        return not all(map(math.isfinite, after)) or sum(after) / 5 > times * sum(before) / 10

    return Training(training.models, training.optimizers, step, training.baseline, check)


def broken_batch(x, y, broken, size=64, at=AT):
    """Batches of (x, y), of which number `at` is passed through `broken`."""
    batch, count = sample(x, y, size), 0

    def draw(generator):
        nonlocal count
        count += 1
        found = batch(generator)
        return broken(*found) if count == at + 1 else found

    return draw


@spiky("batch-in-another-unit-sgd", "One batch of images is a thousand times brighter.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    batch = broken_batch(*data.digits(), lambda x, y: (1000 * x, y))
    return thrown_back(train(model, sgd(model, 0.1), batch, F.cross_entropy, baseline=LN10))


@spiky("targets-in-another-unit-sgd", "One batch of regression targets was not divided by their scale.")
def _():
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    batch = broken_batch(*data.teacher(), lambda x, y: (x, 500 * y))
    return thrown_back(train(model, sgd(model, 0.05), batch, F.mse_loss, baseline=1.0))


@spiky("targets-in-another-unit-adam", "The same under Adam with a short memory.")
def _():
    model = mlp(2, 32, nn.ReLU, "he", inputs=16, outputs=1)
    batch = broken_batch(*data.teacher(), lambda x, y: (x, 1e4 * y.abs()))
    optimizer = adam(model, 3e-2, betas=(0.9, 0.99))
    return thrown_back(train(model, optimizer, batch, F.mse_loss, baseline=1.0))


@spiky(
    "loss-weight-slips-once-rnn",
    "One step's loss is summed over a day instead of a batch: times 2000.",
    expect="LG105 LG402",
)
def _():
    model = Recurrent(nn.GRU(2, 24, batch_first=True), 24)
    count = 0

    def batch(generator):
        nonlocal count
        count += 1
        return data.adding(32, 10, generator)

    def loss(out, y):
        return F.mse_loss(out, y) * (2000 if count == AT + 1 else 1)

    return thrown_back(train(model, sgd(model, 0.1), batch, loss, baseline=1 / 6))


@spiky("accumulated-gradient-not-cleared", "zero_grad is skipped for a stretch, then one step takes it all.")
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.1)
    batch, generator = sample(*data.digits()), torch.Generator().manual_seed(0)
    count = 0

    def step():
        nonlocal count
        repeats = 400 if count == AT else 1
        optimizer.zero_grad()
        for _ in range(repeats):
            x, y = batch(generator)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
        optimizer.step()
        count += 1
        return loss.item()

    return thrown_back(Training((model,), (optimizer,), step, LN10))


@spiky("text-batch-of-one-letter", "A window of a repeated letter, weighted by its length, in a transformer.")
def _():
    model = CharTransformer(data.text()[1], 1)
    count = 0

    def loss(logits, tokens):
        nonlocal count
        count += 1
        weight = 300.0 if count == AT + 1 else 1.0
        target = torch.full_like(tokens, 3) if count == AT + 1 else tokens
        return weight * F.cross_entropy(logits.flatten(0, 1), target.flatten())

    return thrown_back(next_character(model, sgd(model, 0.3), loss=loss), times=1.2)


@spiky(
    "division-by-a-small-spread", "One batch is normalized by its own spread, which happens to be next to 0."
)
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    batch = broken_batch(*data.digits(), lambda x, y: (x / (x.std() * 1e-3), y.roll(1)))
    return thrown_back(train(model, sgd(model, 0.05, 0.9), batch, F.cross_entropy, baseline=LN10))


@spiky("momentum-carries-a-spike-on", "Momentum 0.95 repeats one bad gradient for twenty steps.")
def _():
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    batch = broken_batch(*data.teacher(), lambda x, y: (x, 200 * y))
    return thrown_back(train(model, sgd(model, 0.01, 0.95), batch, F.mse_loss, baseline=1.0))
