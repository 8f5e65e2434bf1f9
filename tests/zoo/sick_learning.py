"""Sound nets that are told nothing about what they are shown, or that do not move."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, adamw, classify, next_character, sample, sgd, train
from tests.zoo.models import CharTransformer, Recurrent, cnn, mlp
from torch import nn
from torch.nn import functional as F

LN10 = math.log(10)


def not_learning(name, note, **fields):
    return case(name, **({"family": "learning", "note": note, "expect": "LG503", "steps": 300} | fields))


def he_mlp(outputs=10, inputs=64):
    return mlp(2, 64, nn.ReLU, "he", inputs=inputs, outputs=outputs)


def strangers(x, y, size=64):
    """Inputs and targets drawn apart from each other."""

    def batch(generator):
        rows, others = (torch.randint(len(x), (size,), generator=generator) for _ in range(2))
        return x[rows], y[others]

    return batch


@not_learning("labels-drawn-apart-adam", "Images and labels are shuffled separately in each batch.")
def _():
    model = he_mlp()
    return train(model, adam(model, 1e-2), strangers(*data.digits(), 128), F.cross_entropy, baseline=LN10)


@not_learning("labels-drawn-apart-cnn-sgd", "The same for a CNN under SGD with momentum.")
def _():
    model = cnn(2, 12, nn.ReLU, "he", norm=nn.BatchNorm2d)
    batch = strangers(*data.digit_images(), 64)
    return train(model, sgd(model, 0.5, 0.9), batch, F.cross_entropy, baseline=LN10)


@not_learning("images-are-noise", "What the model is shown is noise, drawn anew each step.")
def _():
    _, labels = data.digits()

    def batch(generator):
        rows = torch.randint(len(labels), (128,), generator=generator)
        return torch.randn(128, 64, generator=generator), labels[rows]

    model = he_mlp()
    return train(model, adamw(model, 1.5e-2), batch, F.cross_entropy, baseline=LN10)


@not_learning("targets-of-other-rows", "A regression whose targets belong to other rows.")
def _():
    x, y = data.teacher()
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    return train(model, adam(model, 1e-2), strangers(x, y, 1024), F.mse_loss, baseline=1.0)


@not_learning("questions-answered-by-a-coin", "Yes-or-no labels that a coin decides.")
def _():
    x, _ = data.digits()

    def batch(generator):
        rows = torch.randint(len(x), (128,), generator=generator)
        return x[rows], torch.randint(2, (128, 1), generator=generator).float()

    model = he_mlp(outputs=1)
    loss = F.binary_cross_entropy_with_logits
    return train(model, sgd(model, 0.3, 0.9), batch, loss, baseline=math.log(2))


@not_learning(
    "text-with-another-texts-targets", "Each window of text has to predict another window.", steps=200
)
def _():
    def batch(generator):
        (tokens, _), (_, following) = (data.windows(8, 32, generator) for _ in range(2))
        return tokens, following

    def loss(logits, tokens):
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    model = CharTransformer(data.text()[1], 1)
    return train(model, adam(model, 3e-3), batch, loss, baseline=data.text_entropy())


@not_learning("sequence-without-its-first-entry", "A GRU has to name an entry that was cut off.", steps=200)
def _():
    def batch(generator):
        x, y = data.recall(64, 12, generator)
        return x[:, 1:], y

    model = Recurrent(nn.GRU(4, 24, batch_first=True), 24, 4)
    return train(model, adam(model, 5e-3), batch, F.cross_entropy, baseline=math.log(4))


@not_learning("rate-zero", "A learning rate of 0.", steps=80, tolerated="LG401")
def _():
    model = he_mlp()
    return classify(model, sgd(model, 0.0))


@not_learning("schedule-that-begins-and-stays-at-zero", "A warm-up counted in epochs, of which there is one.",
              steps=80, tolerated="LG401")  # fmt: skip
def _():
    model = cnn(2, 12, nn.ReLU, "he")
    optimizer = adam(model, 1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1.0, epoch / 5))
    return classify(model, optimizer, images=True, size=32, schedule=lambda step: scheduler.get_last_lr())


@not_learning("rate-1e-5-sgd", "A rate of 1e-5 where 1e-1 was meant.", steps=120, tolerated="LG401")
def _():
    x, y = data.teacher()
    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    with torch.no_grad():
        list(model.parameters())[-1].fill_(0.5)
    return train(model, sgd(model, 1e-5), sample(x, y, 1024), F.mse_loss, baseline=1.0)


@not_learning("rate-2e-7-adam-text", "Adam with a rate of 2e-7.", steps=60, tolerated="LG401")
def _():
    model = CharTransformer(data.text()[1], 2)
    return next_character(model, adam(model, 2e-7))


@not_learning("only-the-mean-is-shown", "Every pixel is the image's mean.", expect="LG503 LG501")
def _():
    x, y = data.digits()
    flat = (x - x.mean(dim=1, keepdim=True)).mean(dim=1, keepdim=True).expand(-1, 64) + 1.0
    model = mlp(2, 64, nn.LeakyReLU, "he")
    return train(model, adam(model, 1.5e-2), sample(flat, y, 256), F.cross_entropy, baseline=LN10)


@not_learning("regression-with-lost-sign", "Targets whose sign a coin decides, anew each step.")
def _():
    x, y = data.teacher()

    def batch(generator):
        rows = torch.randint(len(x), (1024,), generator=generator)
        signs = 2.0 * torch.randint(2, (1024, 1), generator=generator) - 1
        return x[rows], y[rows] * signs

    model = mlp(2, 32, nn.Tanh, "xavier", inputs=16, outputs=1)
    return train(model, adam(model, 1e-2), batch, F.mse_loss, baseline=1.0)
