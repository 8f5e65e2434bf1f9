"""Fully connected stacks that are well, some of which look sick to a fixed threshold."""

import torch
from tests.zoo.case import case, register
from tests.zoo.loops import adam, adamw, classify, regress, rmsprop, sgd
from tests.zoo.models import FunctionalMLP, initialize, mlp
from torch import nn
from torch.nn import functional as F


def healthy(name, make_optimizer, lr, note, *shape, steps=60, size=64, **options):
    def build():
        model = mlp(*shape, **options)
        return classify(model, make_optimizer(model, lr), size=size)

    register(name, build, family="mlp", note=note, steps=steps)


def momentum(model, lr):
    return sgd(model, lr, momentum=0.9)


healthy("relu-3-default-adam", adam, 3e-3, "The everyday net.", 3, 64)
healthy("relu-3-default-sgd", sgd, 0.1, "The everyday net, SGD.", 3, 64)
healthy("relu-6-he-momentum", momentum, 0.02, "He's init at moderate depth.", 6, 64, nn.ReLU, "he")
healthy(
    "relu-50-he-wide-256", adam, 1e-4, "Deep and wide He-ReLU.", 50, 256, nn.ReLU, "he", steps=40, size=32
)
healthy(
    "relu-100-he-wide-256",
    adam,
    3e-4,
    "A hundred layers: the width keeps the product of gains near 1.",
    100,
    256,
    nn.ReLU,
    "he",
    steps=80,
    size=32,
)
healthy(
    "relu-12-he-narrow-16",
    adam,
    3e-3,
    "Narrow: gains scatter by chance, yet it learns.",
    12,
    16,
    nn.ReLU,
    "he",
)
healthy("relu-10-he-narrow-20", momentum, 0.01, "Narrow, with momentum.", 10, 20, nn.ReLU, "he", steps=150)
healthy("tanh-20-xavier-narrow-10", adam, 5e-3, "Ten units wide, twenty deep.", 20, 10, nn.Tanh, 1.3)
healthy(
    "tanh-30-critical-gain", adam, 3e-4, "tanh at gain 1.5: near the edge of chaos.", 30, 128, nn.Tanh, 1.5
)
healthy("tanh-50-orthogonal", adam, 3e-4, "Orthogonal tanh, 50 deep.", 50, 96, nn.Tanh, "orthogonal")
healthy("selu-40-lecun", adam, 3e-4, "SELU with the init it is made for.", 40, 96, nn.SELU, "lecun")
healthy("gelu-12-own-gain", adamw, 1e-3, "GELU at its gain 1.534.", 12, 64, nn.GELU, 1.5335)
healthy("silu-4-default-rmsprop", rmsprop, 2e-3, "SiLU, shallow.", 4, 64, nn.SiLU)
healthy("sigmoid-2-default-adam", adam, 1e-2, "Shallow sigmoid nets train.", 2, 64, nn.Sigmoid)
healthy("sigmoid-3-xavier-adam", adam, 1e-2, "Three sigmoid layers, Adam.", 3, 64, nn.Sigmoid, "xavier")
healthy("softplus-3-default", adam, 5e-3, "Softplus, shallow.", 3, 64, nn.Softplus)
healthy(
    "linear-30-orthogonal", momentum, 0.003, "Deep linear, orthogonal.", 30, 64, nn.Identity, "orthogonal"
)
healthy("logistic-regression", sgd, 0.1, "No hidden layer at all.", 0, 64)
healthy("relu-2-wide-2048", adam, 3e-4, "Very wide and shallow.", 2, 2048, steps=25)
healthy(
    "relu-12-default-adam-compensated",
    adam,
    3e-3,
    "Default init loses 4.7 decades over 12 layers, yet Adam rescales and the net learns.",
    12,
    64,
    steps=100,
)
healthy(
    "tanh-12-default-adam-compensated",
    adam,
    3e-3,
    "Default init loses 3 decades over 12 layers; Adam makes up for it.",
    12,
    64,
    nn.Tanh,
    steps=100,
)


@case("relu-4-functional-dropout", family="mlp", note="Functional activations and dropout.", steps=60)
def _():
    model = FunctionalMLP(4, 128, lambda x: F.dropout(F.relu(x), 0.3), "he")
    return classify(model, adam(model, 3e-3))


@case(
    "rescaled-relu-1e6",
    family="mlp",
    note="W1·1e6 and W2/1e6 leave the function of a ReLU net as it is; only raw gradient norms look odd."
    " SGD would"
    " feel it, Adam at a tiny share of each weight's size does not stop the rest from learning.",
    steps=60,
)
def _():
    model = mlp(4, 64, nn.ReLU, "he")
    with torch.no_grad():
        model[2].weight.mul_(1e6)
        model[4].weight.mul_(1e-6)
    groups = [
        {"params": [*model[0].parameters(), *model[6].parameters(), *model[8].parameters()]},
        {"params": list(model[2].parameters()), "lr": 3e-3 * 1e6},
        {"params": [model[4].weight], "lr": 3e-3 * 1e-6},
        {"params": [model[4].bias]},
    ]
    return classify(model, torch.optim.Adam(groups, lr=3e-3, eps=1e-16))


@case(
    "rescaled-relu-100-one-rate",
    family="mlp",
    note="W1·100 and W2/100 with one SGD rate: the function is the same, the net still learns.",
    steps=80,
)
def _():
    model = mlp(4, 64, nn.ReLU, "he")
    with torch.no_grad():
        model[2].weight.mul_(10)
        model[2].bias.mul_(10)
        model[4].weight.mul_(0.1)
    return classify(model, adam(model, 1e-3))


@case("orthogonal-tanh-300-deep", family="mlp", note="Dynamical isometry: 300 plain tanh layers.", steps=60)
def _():
    model = initialize(FunctionalMLP(300, 32, torch.tanh), "orthogonal")
    with torch.no_grad():
        model.layers[0].weight.mul_(0.05)
    return classify(model, adam(model, 1e-4), size=32)


@case(
    "regression-targets-1e4",
    family="mlp",
    note="Targets of scale 1e4: gradients are huge from the start.",
    steps=150,
)
def _():
    model = mlp(3, 64, nn.ReLU, "he", inputs=16, outputs=1)
    with torch.no_grad():
        model[-1].weight.mul_(1e4)
    groups = [{"params": list(model[:-1].parameters())}, {"params": list(model[-1].parameters()), "lr": 10.0}]
    return regress(model, torch.optim.Adam(groups, lr=1e-3), scale=1e4)


@case("regression-targets-1e-4", family="mlp", note="Targets of scale 1e-4: gradients are tiny.", steps=120)
def _():
    model = mlp(3, 64, nn.ReLU, "he", inputs=16, outputs=1)
    with torch.no_grad():
        model[-1].weight.mul_(1e-4)
    groups = [{"params": list(model[:-1].parameters())}, {"params": list(model[-1].parameters()), "lr": 1e-7}]
    return regress(model, torch.optim.Adam(groups, lr=1e-3, eps=1e-14), scale=1e-4)
