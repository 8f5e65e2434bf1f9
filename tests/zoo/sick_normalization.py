"""Normalized stacks without skips: BatchNorm explodes at init, LayerNorm does not save a sigmoid."""

import torch
from tests.zoo import data
from tests.zoo.case import case, register
from tests.zoo.loops import classify, sgd
from tests.zoo.models import cnn, mlp
from torch import nn


def gradient_ratio(model, first, last):
    """A check, made before training, that the first weight's gradient is over 100 times the last one's."""
    x, y = data.digits()
    if isinstance(first, nn.Conv2d):
        x = x.reshape(-1, 1, 8, 8)
    gradients = torch.autograd.grad(
        nn.functional.cross_entropy(model(x[:256]), y[:256]), [first.weight, last.weight]
    )
    ratio = (gradients[0].norm() / gradients[1].norm()).item()
    return lambda: ratio > 100


def exploding(name, build, note, **fields):
    fields = {"truth": "checked"} | fields
    register(name, build, family="normalization", expect="LG103", tolerated="LG402", note=note, **fields)


def batchnorm_mlp(depth, width, activation, lr, momentum=0.9):
    def build():
        model = mlp(depth, width, activation, "he", norm=nn.BatchNorm1d)
        check = gradient_ratio(model, model[0], model[3 * (depth - 1)])
        return classify(model, sgd(model, lr, momentum=momentum), size=128, check=check)

    return build


exploding(
    "batchnorm-mlp-50-relu",
    batchnorm_mlp(50, 64, nn.ReLU, 0.05),
    "Yang et al. 2019: the gradient grows 1.21 per layer towards the input at init. It learns, but badly"
    " (0.25 accuracy after 400 steps where 10 layers reach 0.97): judged at init.",
)
exploding(
    "batchnorm-mlp-100-relu",
    batchnorm_mlp(100, 48, nn.ReLU, 0.05),
    "A hundred layers of it: 8 decades.",
    truth="stuck",
)
exploding(
    "batchnorm-mlp-80-gelu",
    batchnorm_mlp(80, 48, nn.GELU, 0.05),
    "GELU under BatchNorm: 1.148 per layer, 4.8 decades over 80.",
)
exploding(
    "batchnorm-mlp-80-relu-sgd",
    batchnorm_mlp(80, 48, nn.ReLU, 0.1, momentum=0.0),
    "Eighty ReLU layers with BatchNorm, plain SGD.",
)


def _batchnorm_cnn():
    model = cnn(48, 8, nn.ReLU, "he", norm=nn.BatchNorm2d)
    check = gradient_ratio(model, model[0], model[3 * 47])
    return classify(model, sgd(model, 0.05, momentum=0.9), images=True, size=32, check=check)


exploding(
    "batchnorm-cnn-48-no-skip", _batchnorm_cnn, "Forty-eight convolutions with BatchNorm, no skip.", steps=30
)


def vanishing(name, build, note, **fields):
    register(name, build, family="normalization", expect="LG101", tolerated="LG401", note=note, **fields)


def layernorm_mlp(depth, activation, init, make_optimizer, lr, norm=nn.LayerNorm):
    def build():
        model = mlp(depth, 64, activation, init, norm=norm)
        return classify(model, make_optimizer(model, lr))

    return build


vanishing(
    "layernorm-sigmoid-30",
    layernorm_mlp(30, nn.Sigmoid, "lecun", sgd, 0.1),
    "LayerNorm does not cure a sigmoid: 0.39 per layer.",
)
vanishing(
    "rmsnorm-sigmoid-30",
    layernorm_mlp(30, nn.Sigmoid, "lecun", sgd, 0.1, norm=nn.RMSNorm),
    "RMSNorm does not cure a sigmoid either.",
)
vanishing(
    "layernorm-softplus-40",
    layernorm_mlp(40, nn.Softplus, "lecun", sgd, 0.1),
    "Softplus under LayerNorm: 0.56 per layer.",
)


@case(
    "groupnorm-cnn-30-sigmoid",
    family="normalization",
    expect="LG101",
    tolerated="LG401",
    note="GroupNorm before each sigmoid of a plain CNN.",
)
def _():
    model = cnn(30, 16, nn.Sigmoid, "lecun", norm=lambda channels: nn.GroupNorm(4, channels))
    return classify(model, sgd(model, 0.1), images=True, size=32)


@case(
    "layernorm-eps-1e4",
    family="normalization",
    expect="LG101",
    tolerated="LG401",
    note="eps=1e4 instead of 1e-4: each LayerNorm divides by 100.",
)
def _():
    model = mlp(6, 64, nn.ReLU, "he", norm=lambda width: nn.LayerNorm(width, eps=1e4))
    return classify(model, sgd(model, 0.05))
