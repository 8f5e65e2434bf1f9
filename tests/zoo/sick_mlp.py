"""Fully connected stacks whose signal vanishes or explodes over depth."""

import torch
from tests.zoo.case import case, register
from tests.zoo.loops import adam, adamw, classify, regress, rmsprop, sgd
from tests.zoo.models import FunctionalMLP, initialize, mlp
from torch import nn
from torch.nn import functional as F


def vanishing(name, build, note, **fields):
    register(name, build, family="mlp", expect="LG101", tolerated="LG401", note=note, **fields)


def exploding(name, build, note, **fields):
    register(name, build, family="mlp", expect="LG103", tolerated="LG201 LG301 LG402", note=note, **fields)


def digits(make_optimizer, lr, *shape, **options):
    """A build function: mlp(*shape, **options) on the digits."""

    def build():
        model = mlp(*shape, **options)
        return classify(model, make_optimizer(model, lr))

    return build


vanishing(
    "sigmoid-24-xavier-adam",
    digits(adam, 1e-3, 24, 64, nn.Sigmoid, "xavier"),
    "Backward factor 0.236 per layer (sigmoid, Xavier): 15 decades over 24 layers.",
)


@case(
    "sigmoid-12-default-sgd-functional",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="torch.sigmoid called in forward; default init loses about 0.85 decades per layer.",
)
def _():
    model = FunctionalMLP(12, 64, torch.sigmoid)
    return classify(model, sgd(model, 0.1))


vanishing(
    "sigmoid-8-default-momentum",
    digits(lambda m, lr: sgd(m, lr, momentum=0.9), 0.05, 8, 64, nn.Sigmoid),
    "Shallow for today, deep enough for sigmoid at default init.",
)
vanishing(
    "sigmoid-16-wide-512-adam",
    digits(adam, 1e-4, 16, 512, nn.Sigmoid, "xavier"),
    "Width does not help: the loss per layer is that of the wide limit.",
    steps=30,
)
vanishing(
    "tanh-30-default-sgd",
    digits(sgd, 0.1, 30, 64, nn.Tanh),
    "Forward and backward both shrink by 1/sqrt(3) per layer, so weight-gradient norms look flat over depth.",
)
vanishing("tanh-40-default-adam", digits(adam, 1e-3, 40, 64, nn.Tanh), "Default init, 40 deep, Adam.")
vanishing(
    "tanh-60-default-narrow-16",
    digits(adam, 1e-3, 60, 16, nn.Tanh),
    "Narrow and deep: 60 layers of 16 units at default init.",
)
vanishing(
    "relu-40-default-momentum",
    digits(lambda m, lr: sgd(m, lr, momentum=0.9), 0.05, 40, 64, nn.ReLU),
    "ReLU at default init: 0.408 per layer.",
)
vanishing(
    "relu-30-default-rmsprop",
    digits(rmsprop, 1e-3, 30, 64, nn.ReLU),
    "ReLU at default init under RMSprop.",
)
vanishing(
    "relu-100-xavier-adam",
    digits(adam, 1e-4, 100, 64, nn.ReLU, "lecun"),
    "Gain 1 instead of sqrt(2): 0.707 per layer, 15 decades over 100 layers.",
)
vanishing(
    "relu-10-std-0.01-sgd",
    digits(sgd, 0.1, 10, 64, nn.ReLU, "std=0.01"),
    "The N(0, 0.01²) initialization of AlexNet in a ten-layer stack of width 64.",
)
vanishing(
    "relu-8-std-0.001-adam",
    digits(adam, 1e-4, 8, 128, nn.ReLU, "std=0.001"),
    "Tiny weights: 2 decades per layer even with Adam's help at a small rate.",
)
vanishing(
    "gelu-100-he-adamw",
    digits(adamw, 1e-4, 100, 64, nn.GELU, "he"),
    "GELU needs gain 1.534; He's 1.414 lets activations shrink until GELU is x/2, and the gradient with"
    " them.",
)
vanishing(
    "silu-60-he-sgd",
    digits(sgd, 0.05, 60, 64, nn.SiLU, "he"),
    "SiLU needs gain 1.677; He's 1.414 makes both directions shrink.",
)
vanishing(
    "softplus-24-critical-gain-sgd",
    digits(sgd, 0.1, 24, 64, nn.Softplus, 1.0419),
    "Softplus at its own variance-preserving gain: 0.564 per layer backwards, as the mean carries the"
    " variance.",
)
vanishing(
    "sigmoid-24-critical-gain-sgd",
    digits(sgd, 0.1, 24, 64, nn.Sigmoid, 1.8462),
    "Sigmoid at its variance-preserving gain: 0.391 per layer.",
)
vanishing(
    "linear-50-default-sgd",
    digits(sgd, 0.1, 50, 64, nn.Identity),
    "A deep linear net at default init: 1/sqrt(3) per layer both ways.",
)
vanishing(
    "leaky-relu-40-default-adamw",
    digits(adamw, 1e-3, 40, 64, lambda: nn.LeakyReLU(0.1)),
    "Leaky ReLU at default init.",
)
vanishing("elu-40-default-sgd", digits(sgd, 0.1, 40, 64, nn.ELU), "ELU at default init.")
vanishing("softsign-30-default-sgd", digits(sgd, 0.1, 30, 64, nn.Softsign), "Softsign at default init.")


@case(
    "hardtanh-30-default-functional",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="F.hardtanh called in forward, default init.",
)
def _():
    model = FunctionalMLP(30, 48, F.hardtanh)
    return classify(model, sgd(model, 0.1))


@case(
    "inputs-divided-by-255-in-every-layer",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="A preprocessing line copied into each of four layers: 2.4 decades per layer both ways.",
)
def _():
    model = FunctionalMLP(4, 64, lambda x: F.relu(x) / 255, "he")
    return classify(model, sgd(model, 0.05))


@case(
    "tanh-40-default-regression",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="Regression with one output through 40 default-init tanh layers.",
)
def _():
    model = mlp(40, 64, nn.Tanh, inputs=16, outputs=1)
    return regress(model, adam(model))


@case(
    "sigmoid-20-mse-one-hot",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="The textbook set-up of the 1990s: sigmoids everywhere, squared error on one-hot targets, SGD.",
)
def _():
    model = nn.Sequential(mlp(20, 64, nn.Sigmoid, "xavier"), nn.Sigmoid())

    def loss(output, labels):
        return F.mse_loss(output, F.one_hot(labels, 10).float())

    return classify(model, sgd(model, 1.0), loss=loss, baseline=0.09)


@case(
    "dbn-stack-without-pretraining",
    family="mlp",
    expect="LG101",
    tolerated="LG401",
    note="The sigmoid stack of a deep belief net (wide hidden layers, N(0, 0.01²)) fine-tuned without"
    " pretraining.",
)
def _():
    model = FunctionalMLP(5, 256, torch.sigmoid, "std=0.01")
    return classify(model, sgd(model, 0.1))


@case(
    "weights-decayed-to-nothing",
    family="mlp",
    expect="LG101 LG402",
    tolerated="LG401",
    note="Weight decay as strong as the learning rate's inverse allows shrinks every weight tenfold in"
    " 20 steps; the decay is the cause, and is a step that is too large itself.",
    steps=60,
)
def _():
    model = mlp(6, 64, nn.ReLU, "he")
    return classify(model, sgd(model, 0.1, weight_decay=1.5))


exploding(
    "tanh-30-gain-4-sgd",
    digits(sgd, 0.01, 30, 100, nn.Tanh, 4.0),
    "Chaotic phase: sigma_w² = 16, backward gain about 1.7 per layer.",
)
exploding(
    "tanh-50-std-0.3-rmsprop",
    digits(rmsprop, 1e-4, 50, 128, nn.Tanh, "std=0.3"),
    "Chaotic phase, 50 deep.",
)
exploding(
    "relu-30-gain-5-sgd",
    digits(sgd, 1e-3, 30, 64, nn.ReLU, 5.0),
    "Every layer multiplies by 3.5: the logits reach 1e16 and the first step ends it.",
)
exploding(
    "relu-20-std-1-adam",
    digits(adam, 1e-3, 20, 64, nn.ReLU, "std=1"),
    "N(0, 1) weights: 5.7 per layer. The output scale is 1e15; Adam's steps cannot bring it down.",
)
exploding(
    "leaky-relu-40-gain-3-adamw",
    digits(adamw, 1e-3, 40, 64, lambda: nn.LeakyReLU(0.2), 3.0),
    "Gain 3 where 1.39 preserves the variance.",
)
exploding(
    "selu-40-gain-2.5-adam",
    digits(adam, 1e-3, 40, 64, nn.SELU, 2.5),
    "SELU is made for gain 1.",
)
exploding(
    "linear-30-gain-2-sgd",
    digits(sgd, 1e-3, 30, 64, nn.Identity, 2.5),
    "A deep linear net with gain 2.5.",
)


@case(
    "tanh-40-orthogonal-gain-3-functional",
    family="mlp",
    expect="LG103",
    tolerated="LG201 LG301 LG402",
    note="Orthogonal weights scaled by 3 with torch.tanh: still chaotic.",
)
def _():
    model = initialize(FunctionalMLP(40, 64, torch.tanh), "orthogonal")
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.mul_(3)
    return classify(model, sgd(model, 0.01))


@case(
    "sine-30-omega-6",
    family="mlp",
    expect="LG103",
    tolerated="LG201 LG301 LG402",
    note="sin(6x) at LeCun init, 30 deep: slope 6 cos(.) has rms 4, chaos.",
)
def _():
    model = FunctionalMLP(30, 64, lambda x: torch.sin(6 * x), "lecun")
    return classify(model, adam(model, 1e-4))
