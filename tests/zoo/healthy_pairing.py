"""Outputs and losses that fit, in all the forms that look as if they did not."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, classify, regress, sample, train
from tests.zoo.models import cnn, mlp
from torch import nn
from torch.nn import functional as F


def fits(name, note, **fields):
    return case(name, **({"family": "pairing", "note": note, "steps": 60} | fields))


def he_mlp(outputs=10, inputs=64):
    return mlp(2, 64, nn.ReLU, "he", inputs=inputs, outputs=outputs)


@fits("log-softmax-and-nll", "The model ends in log-softmax, the loss is NLLLoss.")
def _():
    model = nn.Sequential(he_mlp(), nn.LogSoftmax(dim=-1))
    return classify(model, adam(model, 3e-3), loss=F.nll_loss)


@fits("log-softmax-into-cross-entropy", "The second log-softmax changes nothing.")
def _():
    model = nn.Sequential(he_mlp(), nn.LogSoftmax(dim=-1))
    return classify(model, adam(model, 3e-3))


@fits("log-of-softmax-by-hand", "log(softmax + 1e-8) into NLLLoss.")
def _():
    model = nn.Sequential(he_mlp(), nn.Softmax(dim=1))
    return classify(model, adam(model, 3e-3), loss=lambda out, y: F.nll_loss((out + 1e-8).log(), y))


@fits("sigmoid-clamped-into-bce", "Probabilities held off 0 and 1 before a BCELoss.")
def _():
    x, y = data.digits()
    model = nn.Sequential(he_mlp(outputs=1), nn.Sigmoid())
    targets = (y > 4).float().unsqueeze(1)

    def loss(out, target):
        return F.binary_cross_entropy(out.clamp(1e-6, 1 - 1e-6), target)

    return train(model, adam(model, 3e-3), sample(x, targets), loss, baseline=math.log(2))


@fits("softmax-into-mse-one-hot", "Brier score: a squared error of probabilities.", steps=80)
def _():
    x, y = data.digits()
    model = nn.Sequential(he_mlp(), nn.Softmax(dim=1))
    return train(model, adam(model, 3e-3), sample(x, F.one_hot(y, 10).float()), F.mse_loss, baseline=0.09)


@fits("attention-pooling-into-cross-entropy", "A softmax inside the model, over places, before the head.",
      steps=100)  # fmt: skip
def _():
    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.score, self.head = nn.Linear(8, 64), nn.Linear(64, 1), nn.Linear(64, 10)

        def forward(self, x):
            rows = torch.tanh(self.trunk(x.reshape(-1, 8, 8)) + torch.arange(8).reshape(1, 8, 1) * 0.3)
            share = self.score(rows).softmax(dim=1)
            return self.head((share * rows).sum(1))

    model = Pool()
    return classify(model, adam(model, 1e-2))


@fits("scores-bounded-by-tanh-times-ten", "Soft capping: 10 tanh(z / 10) into cross-entropy.")
def _():
    class Capped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = he_mlp()

        def forward(self, x):
            return 10 * torch.tanh(self.net(x) / 10)

    model = Capped()
    return classify(model, adam(model, 3e-3))


@fits("places-of-an-image-as-classes", "Cross-entropy of scores (batch, classes, height, width).", steps=60)
def _():
    model = nn.Sequential(*list(cnn(3, 16, nn.ReLU, "he"))[:-2], nn.Conv2d(16, 2, 1))
    images, _ = data.digit_images()
    targets = (images.squeeze(1) > 0).long()
    share = targets.float().mean().item()
    baseline = -share * math.log(share) - (1 - share) * math.log(1 - share)
    return train(model, adam(model, 3e-3), sample(images, targets, 16), F.cross_entropy, baseline=baseline)


@fits("label-smoothing-class-weights", "Weighted classes and smoothed labels.")
def _():
    model = he_mlp()
    weight = torch.linspace(0.5, 2, 10)

    def loss(out, y):
        return F.cross_entropy(out, y, weight=weight, label_smoothing=0.05)

    return classify(model, adam(model, 3e-3), loss=loss)


@fits("all-pairs-ranking", "Differences of all pairs of outputs, and of all pairs of targets.", steps=100)
def _():
    model = mlp(2, 64, nn.Tanh, "xavier", inputs=16, outputs=1)

    def loss(out, y):
        apart, wanted = out - out.T, y - y.T
        return F.binary_cross_entropy_with_logits(apart, (wanted > 0).float())

    return regress(model, adam(model, 5e-3), loss=loss, baseline=math.log(2))


@fits("outputs-and-targets-flattened-alike", "squeeze(1) on the outputs, targets (64,).", steps=100)
def _():
    x, y = data.teacher()
    model = mlp(2, 64, nn.Tanh, "xavier", inputs=16, outputs=1)
    batch = sample(x, y.squeeze(1))
    return train(model, adam(model, 5e-3), batch, lambda a, b: F.mse_loss(a.squeeze(1), b), baseline=1.0)


@fits("distillation-with-temperature", "KL of softened scores of student and teacher.", steps=100)
def _():
    teacher = he_mlp()
    teacher = he_mlp()
    first = classify(teacher, adam(teacher, 3e-3))
    for _ in range(100):
        first.step()
    teacher.requires_grad_(False)
    x, _ = data.digits()
    student = mlp(1, 32, nn.ReLU, "he")

    def loss(out, batch):
        soft = F.kl_div((out / 4).log_softmax(1), (teacher(batch) / 4).softmax(1), reduction="batchmean")
        return 16 * soft

    wanted = (teacher(x) / 4).softmax(1)
    baseline = 16 * (wanted * (wanted.log() - wanted.mean(0).log())).sum(1).mean().item()
    return train(student, adam(student, 5e-3), sample(x, x), loss, baseline=baseline)
