"""Trainings that end in NaN or infinity, each by one named operation."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import adam, classify, next_character, reconstruct, regress, sample, sgd, train
from tests.zoo.models import TransformerBlock, mlp
from torch import nn
from torch.nn import functional as F

NONFINITE = {"family": "nonfinite", "expect": "LG301", "truth": "nonfinite", "steps": 30}


@case("log-of-zero", note="log of a probability that a ReLU made exactly 0.", **NONFINITE)
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he"), nn.ReLU())

    def loss(scores, labels):
        share = scores / scores.sum(dim=1, keepdim=True)
        return -share.log().gather(1, labels[:, None]).mean()

    return classify(model, adam(model), loss=loss)


@case("sqrt-at-zero", note="The derivative of a distance at distance 0 is 0/0.", **NONFINITE)
def _():
    model = mlp(2, 64, nn.ReLU, "he", outputs=8)

    def loss(points, labels):
        distances = (points[:, None] - points[None]).square().sum(-1).sqrt()
        same = labels[:, None] == labels[None]
        return (torch.where(same, distances, F.relu(2 - distances))).mean()

    return classify(model, adam(model), loss=loss, baseline=None)


@case(
    "regression-rate-too-large",
    note="Squared error of a linear model at a rate over 2/curvature: the loss doubles each step until"
    " infinity.",
    tolerated="LG402 LG103",
    family="nonfinite",
    expect="LG301",
    truth="nonfinite",
    steps=80,
)
def _():
    model = mlp(1, 64, nn.ReLU, inputs=16, outputs=1)
    return regress(model, sgd(model, 2.0))


@case(
    "half-precision-overflow",
    note="Activations pass through float16, whose largest number is 65504.",
    **NONFINITE,
)
def _():
    class Half(nn.Module):
        def forward(self, x):
            return (3e4 * x).half().float() / 3e4

    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he", outputs=64), Half(), nn.ReLU(), nn.Linear(64, 10))
    return classify(model, adam(model))


@case("standardized-by-zero-spread", note="Rows divided by their own s.d., which is 0 for one.", **NONFINITE)
def _():
    class Standardize(nn.Module):
        def forward(self, x):
            return (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)

    model = nn.Sequential(Standardize(), mlp(2, 64, nn.ReLU, "he"))
    x, labels = data.digits()
    x = x.clone()
    x[::50] = 0.5
    return train(model, adam(model), sample(x, labels), F.cross_entropy)


@case("nan-in-the-data", note="One pixel of one image in forty is NaN.", **NONFINITE)
def _():
    x, labels = data.digits()
    x = x.clone()
    x[::40, 7] = float("nan")
    model = mlp(2, 64, nn.ReLU, "he")
    return train(model, sgd(model, 0.05), sample(x, labels, 16), F.cross_entropy)


@case("softmax-by-hand-overflows", note="exp(x) / sum exp(x) without subtracting the maximum.", **NONFINITE)
def _():
    model = mlp(2, 64, nn.ReLU, 4.0)

    def loss(logits, labels):
        share = (10 * logits).exp()
        return (
            -(share.gather(1, labels[:, None]) / share.sum(dim=1, keepdim=True)).clamp_min(1e-9).log().mean()
        )

    return classify(model, adam(model), loss=loss)


@case("unit-vectors-of-zero", note="x / |x| of an embedding that the ReLU left at zero.", **NONFINITE)
def _():
    class Unit(nn.Module):
        def forward(self, x):
            x = F.relu(x)
            return x / x.norm(dim=1, keepdim=True)

    model = nn.Sequential(mlp(1, 64, nn.ReLU, "he", outputs=4), Unit(), nn.Linear(4, 10))
    return classify(model, adam(model))


@case(
    "attention-row-fully-masked",
    note="A mask that is minus infinity over a whole row: softmax gives NaN.",
    **NONFINITE,
)
def _():
    class Masked(TransformerBlock):
        def attend(self, x):
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            scores = q @ k.transpose(1, 2) / 32**0.5
            mask = torch.ones(x.shape[1], x.shape[1]).triu(0).bool()
            return self.out(scores.masked_fill(mask, float("-inf")).softmax(-1) @ v)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 32)
            self.block = Masked(32)
            self.head = nn.Linear(32, data.text()[1])

        def forward(self, tokens):
            return self.head(self.block(self.embedding(tokens)))

    model = Net()
    return next_character(model, adam(model))


@case(
    "variance-from-exp-overflows", note="A VAE whose log-variance starts at 200: exp overflows.", **NONFINITE
)
def _():
    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = mlp(1, 64, nn.ReLU, "he", outputs=16)
            self.decoder = mlp(1, 64, nn.ReLU, "he", inputs=8, outputs=64)
            nn.init.constant_(self.encoder[-1].bias[8:], 200)

        def forward(self, x):
            mean, log_variance = self.encoder(x).chunk(2, dim=1)
            code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            self.divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1).mean()
            return self.decoder(code)

    model = VAE()
    return reconstruct(model, adam(model), loss=lambda y, x: F.mse_loss(y, x) + 1e-3 * model.divergence)


@case(
    "nan-after-thirty-steps",
    note="arccos of a similarity that rounding lifts to 1 once the pair has aligned: born late.",
    family="nonfinite",
    expect="LG301",
    truth="nonfinite",
    steps=60,
)
def _():
    model = mlp(1, 64, nn.Tanh, outputs=8)

    def loss(points, labels):
        points = F.normalize(points, dim=1)
        centre = F.normalize(points.detach().mean(0), dim=0)
        return torch.acos(points @ centre).mean()

    return classify(model, adam(model, 1e-2), loss=loss, baseline=None)
