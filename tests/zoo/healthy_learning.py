"""Trainings whose loss stands still or lies high for a while, and that are well."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, classify, next_character, sgd, train
from tests.zoo.models import CharTransformer, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def learns(name, note, **fields):
    return case(name, **({"family": "learning", "note": note, "steps": 150} | fields))


def he_mlp(outputs=10, inputs=64):
    return mlp(2, 64, nn.ReLU, "he", inputs=inputs, outputs=outputs)


@learns("half-of-the-labels-are-noise", "Half of the labels are drawn at random, anew each step.", steps=200)
def _():
    x, y = data.digits()

    def batch(generator):
        rows = torch.randint(len(x), (64,), generator=generator)
        noise = torch.randint(10, (64,), generator=generator)
        return x[rows], torch.where(torch.rand(64, generator=generator) < 0.5, noise, y[rows])

    model = he_mlp()
    return train(model, adam(model, 3e-3), batch, F.cross_entropy, baseline=LN10)


@learns("regression-mostly-noise", "Two thirds of the targets' variance is noise.", steps=200)
def _():
    x, y = data.teacher()

    def batch(generator):
        rows = torch.randint(len(x), (128,), generator=generator)
        return x[rows], y[rows] + 1.4 * torch.randn(128, 1, generator=generator)

    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    return train(model, adam(model, 5e-3), batch, F.mse_loss, baseline=1 + 1.4**2)


@learns("long-warm-up-then-learns", "A hundred steps of warm-up from a rate of 1e-6.", steps=200)
def _():
    model = he_mlp()
    optimizer = adam(model, 1e-6)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 1e-6 * 10 ** (4 * min(1.0, step / 120))

    return classify(model, optimizer, schedule=schedule)


@learns("rare-class", "One sample in twenty is of the second class.", steps=200)
def _():
    x, y = data.digits()
    rare = (y == 3).nonzero().squeeze(1)
    often = (y != 3).nonzero().squeeze(1)

    def batch(generator):
        few = rare[torch.randint(len(rare), (6,), generator=generator)]
        many = often[torch.randint(len(often), (122,), generator=generator)]
        return x[torch.cat([few, many])], torch.cat([torch.ones(6), torch.zeros(122)]).long()

    share = 6 / 128
    baseline = -share * math.log(share) - (1 - share) * math.log(1 - share)
    model = he_mlp(outputs=2)
    return train(model, adam(model, 3e-3), batch, F.cross_entropy, baseline=baseline)


@learns(
    "pairs-among-a-batch", "InfoNCE: each view has to find its partner; every label is another.", steps=150
)
def _():
    x, _ = data.digits()
    model = mlp(2, 64, nn.ReLU, "he", outputs=16)

    def batch(generator):
        rows = x[torch.randint(len(x), (64,), generator=generator)]
        return torch.cat([rows, rows + 0.3 * torch.randn(64, 64, generator=generator)]), torch.arange(64)

    def loss(out, labels):
        a, b = F.normalize(out, dim=1).chunk(2)
        return F.cross_entropy(a @ b.T / 0.2, labels)

    return train(model, adam(model, 3e-3), batch, loss, baseline=math.log(64))


@learns("two-hard-stages", "Every label is noise for sixty steps, then the true ones come.", steps=250)
def _():
    x, y = data.digits()
    count = 0

    def batch(generator):
        nonlocal count
        count += 1
        rows = torch.randint(len(x), (64,), generator=generator)
        return x[rows], y[rows] if count > 60 else torch.randint(10, (64,), generator=generator)

    model = he_mlp()
    return train(model, adam(model, 2e-3), batch, F.cross_entropy, baseline=LN10)


@learns("only-begun", "Twenty steps at a moderate rate: too early to tell.", steps=20, truth="slow")
def _():
    model = he_mlp()
    return classify(model, sgd(model, 1e-3))


@learns("loss-with-a-large-constant", "A loss with 10 added to it: it stands high and comes down.", steps=80)
def _():
    model = he_mlp()

    def loss(out, y):
        return F.cross_entropy(out, y) + 10.0

    twin = he_mlp()
    lessons = classify(twin, adam(twin, 3e-3))
    training = classify(model, adam(model, 3e-3), loss=loss)

    def check():
        for _ in range(80):
            lessons.step()
        return lessons.step() < 0.85 * LN10

    return Training(training.models, training.optimizers, training.step, 13.5, check)


@learns(
    "text-from-the-next-window-too",
    "One target in eight is of another window; the rest is enough.",
    steps=250,
)
def _():
    def batch(generator):
        tokens, following = data.windows(8, 32, generator)
        _, others = data.windows(8, 32, generator)
        return tokens, torch.cat([following[:7], others[7:]])

    def loss(logits, tokens):
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    model = CharTransformer(data.text()[1], 1)
    return train(model, adam(model, 1e-2), batch, loss, baseline=data.text_entropy())


@learns("fine-tuned-at-1e-6", "A trained net at a rate of 1e-6: its loss stands far under a constant's.",
        truth="converged", steps=80)  # fmt: skip
def _():
    model = he_mlp()
    before = classify(model, adam(model, 3e-3))
    for _ in range(150):
        before.step()
    return classify(model, sgd(model, 1e-6))


@learns("word-frequencies-first", "A character model that has first to learn frequencies.", steps=200)
def _():
    model = CharTransformer(data.text()[1], 1)
    return next_character(model, adam(model, 3e-3))


@learns("batches-of-one-class", "Batches sorted by class: each batch has five.", steps=250)
def _():
    x, y = data.digits()
    rows_of = [(y == k).nonzero().squeeze(1) for k in range(10)]

    def batch(generator):
        kinds = torch.randperm(10, generator=generator)[:5]
        rows = torch.cat(
            [rows_of[int(k)][torch.randint(len(rows_of[int(k)]), (13,), generator=generator)] for k in kinds]
        )
        return x[rows], y[rows]

    model = he_mlp()
    return train(model, adam(model, 2e-3), batch, F.cross_entropy, baseline=LN10)
