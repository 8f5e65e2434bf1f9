"""Units that no input awakes, and units that every input saturates."""

import torch
from tests.zoo import data
from tests.zoo.case import case
from tests.zoo.loops import (
    adam,
    adamw,
    classify,
    next_character,
    recall_first,
    reconstruct,
    sample,
    sgd,
    train,
)
from tests.zoo.models import FunctionalMLP, Recurrent, cnn, initialize, mlp
from torch import nn
from torch.nn import functional as F

DEAD = {"family": "dead", "expect": "LG202", "tolerated": "LG101 LG401 LG404"}
SATURATED = {"family": "saturated", "expect": "LG201", "tolerated": "LG101 LG103 LG401"}


def silent_share(model, layer, x):
    """Share of a ReLU module's units that are zero on the whole of x."""
    seen = []
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        model(x)
    handle.remove()
    return (seen[0] <= 0).all(0).float().mean().item()


@case(
    "relu-layer-bias-minus-10", note="One hidden layer's biases are -10: it is silent.", layers=r"2|3", **DEAD
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    nn.init.constant_(model[2].bias, -10)
    return classify(model, adam(model), check=lambda: silent_share(model, model[3], data.digits()[0]) == 1)


@case("relu-functional-bias-minus-20", note="All hidden biases at -20, F.relu in forward.", **DEAD)
def _():
    model = FunctionalMLP(4, 64, F.relu, "he")
    for layer in model.layers:
        nn.init.constant_(layer.bias, -20)
    return classify(model, sgd(model, 0.05))


@case(
    "relu-killed-by-one-step",
    note="Twenty good steps, then one step at rate 30 kills the ReLUs: the fault is born in the run.",
    steps=60,
    **{**DEAD, "expect": "LG202 LG402"},
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.05)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 30.0 if step == 20 else 0.05

    x = data.digits()[0]
    return classify(
        model,
        optimizer,
        schedule=schedule,
        check=lambda: max(silent_share(model, model[i], x) for i in (1, 3, 5)) == 1,
    )


@case(
    "relu-killed-by-negative-weights",
    note="Pixels in [0, 1] into a first layer whose weights are all negative.",
    layers="0|1",
    **DEAD,
)
def _():
    model = mlp(3, 64, nn.ReLU, "he", outputs=64)
    with torch.no_grad():
        model[0].weight.copy_(-model[0].weight.abs())
    return reconstruct(model, adam(model))


@case(
    "relu-raw-pixels-255-sgd",
    note="Pixels of 0 to 255 and rate 0.1: the first steps kill the ReLUs.",
    **{**DEAD, "expect": "LG501 LG202 LG402", "tolerated": "LG101 LG401 LG404 LG301 LG103"},
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    x, labels = data.digits()
    pixels = 255 * (x - x.min()) / (x.max() - x.min())
    return train(model, sgd(model, 0.1), sample(pixels, labels), F.cross_entropy, baseline=2.3026)


@case("cnn-channels-dead", note="All biases of the third convolution are -30.", **DEAD)
def _():
    model = cnn(5, 16, nn.ReLU, "he")
    nn.init.constant_(model[4].bias, -30)
    return classify(model, adam(model), images=True, size=32)


@case("relu-after-layernorm-beta-minus-8", note="LayerNorm with beta = -8 before the ReLU.", **DEAD)
def _():
    model = mlp(3, 64, nn.ReLU, "he", norm=nn.LayerNorm)
    nn.init.constant_(model[4].bias, -8)
    return classify(model, adamw(model))


@case("text-mlp-dead", note="A character MLP whose hidden ReLU has bias -5 on unit-variance input.", **DEAD)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 32)
            self.hidden = nn.Linear(32, 64)
            self.head = nn.Linear(64, data.text()[1])
            nn.init.constant_(self.hidden.bias, -5)

        def forward(self, tokens):
            return self.head(F.relu(self.hidden(self.embedding(tokens))))

    model = Net()
    return next_character(model, adam(model))


@case(
    "hardsigmoid-outside-its-ramp",
    note="Biases of -5 put every hard sigmoid on its flat part: slope exactly 0.",
    **{**SATURATED, "expect": "LG201 LG202"},
)
def _():
    model = mlp(3, 64, nn.Hardsigmoid, "lecun")
    for module in model[:-1]:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.bias, -15)
    return classify(model, adam(model))


@case(
    "tanh-bias-20", note="Biases of 20 in the second tanh layer: it is constant 1.", layers="2|3", **SATURATED
)
def _():
    model = mlp(4, 64, nn.Tanh, "xavier")
    nn.init.constant_(model[2].bias, 20)
    return classify(model, sgd(model, 0.1))


@case(
    "sigmoid-output-wrong-side-mse",
    note="Sigmoid output at bias -20 with squared error: the textbook plateau.",
    **{**SATURATED, "expect": "LG201 LG101"},
)
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "he"), nn.Sigmoid())
    nn.init.constant_(model[0][-1].bias, -20)

    def loss(output, labels):
        return F.mse_loss(output, F.one_hot(labels, 10).float())

    return classify(model, sgd(model, 0.5), loss=loss, baseline=0.09)


@case(
    "tanh-weights-times-50",
    note="Four tanh layers with gain 50: each unit is a step function.",
    **{**SATURATED, "expect": "LG201 LG103"},
)
def _():
    model = mlp(4, 64, nn.Tanh, 50.0)
    return classify(model, sgd(model, 0.01))


@case(
    "sigmoid-weights-times-100",
    note="Five sigmoid layers with gain 100.",
    **{**SATURATED, "expect": "LG201 LG101 LG103"},
)
def _():
    model = mlp(5, 64, nn.Sigmoid, 100.0)
    return classify(model, sgd(model, 0.05))


@case(
    "tanh-input-times-1000",
    note="Inputs scaled by 1000 drive the first tanh layer to plus or minus 1; the rest learns from"
    " signs, so the"
    " loss falls: the fault is that layer's slope.",
    truth="checked",
    layers="0|1|input",
    **(SATURATED | {"expect": "LG201 LG501"}),
)
def _():
    model = mlp(3, 64, nn.Tanh, "xavier")
    x, labels = data.digits()
    x = 1000 * x

    def check():
        with torch.no_grad():
            return (torch.tanh(model[0](x)).abs() > 0.999).float().mean().item() > 0.95

    return train(model, adam(model), sample(x, labels), F.cross_entropy, baseline=2.3026, check=check)


@case(
    "lstm-input-gate-shut",
    note="An LSTM whose input and output gates have bias -30: nothing enters or leaves.",
    **{**SATURATED, "expect": "LG201 LG101 LG102"},
)
def _():
    core = nn.LSTM(4, 32, batch_first=True)
    with torch.no_grad():
        core.bias_ih_l0[:32] = -30
        core.bias_ih_l0[96:] = -30
    model = Recurrent(core, 32, outputs=4)
    return recall_first(model, adam(model), length=5)


@case(
    "deep-sigmoid-saturated-by-bias",
    note="Six sigmoid layers with biases of 10.",
    **{**SATURATED, "expect": "LG201 LG101"},
)
def _():
    model = initialize(mlp(6, 64, nn.Sigmoid), "xavier")
    for module in model[:-1]:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.bias, 10)
    return classify(model, adam(model))
