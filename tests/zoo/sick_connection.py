"""Parameters given to an optimizer that no gradient reaches."""

import copy
import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, classify, never_moves, reconstruct, sample, sgd
from tests.zoo.models import cnn, mlp
from torch import nn
from torch.nn import functional as F

DISCONNECTED = {"family": "connection", "expect": "LG404", "truth": "checked", "tolerated": "LG101 LG401"}


class Split(nn.Module):
    """Encoder, a bridge that may cut the gradient, head."""

    def __init__(self, bridge):
        super().__init__()
        self.encoder = mlp(2, 64, nn.ReLU, "he", outputs=32)
        self.head = nn.Linear(32, 10)
        self.bridge = bridge

    def forward(self, x):
        return self.head(self.bridge(self.encoder(x)))


def split(bridge):
    def build():
        model = Split(bridge)
        return classify(model, adam(model), check=never_moves(model.encoder.parameters()))

    return build


case("detach-between-encoder-and-head", layers="encoder", note="A forgotten .detach().", **DISCONNECTED)(
    split(torch.Tensor.detach)
)
case("numpy-between-encoder-and-head", layers="encoder", note="A round trip through numpy.", **DISCONNECTED)(
    split(lambda x: torch.from_numpy(x.detach().numpy()))
)
case("data-between-encoder-and-head", layers="encoder", note="x.data cuts the graph.", **DISCONNECTED)(
    split(lambda x: x.data)
)
case(
    "argmax-between-encoder-and-head",
    layers="encoder",
    note="One-hot of argmax has no gradient.",
    **DISCONNECTED,
)(split(lambda x: F.one_hot(x.argmax(1), 32).float()))


@case(
    "rounding-between-encoder-and-head",
    layers="encoder",
    note="torch.round has gradient zero everywhere: connected in the graph, yet nothing passes.",
    **{**DISCONNECTED, "expect": "LG404 LG101"},
)
def _():
    return split(torch.round)()


@case("encoder-under-no-grad", layers="trunk", note="torch.no_grad left around the trunk.", **DISCONNECTED)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(2, 64, nn.ReLU, "he", outputs=32)
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            with torch.no_grad():
                x = self.trunk(x)
            return self.head(x)

    model = Net()
    return classify(model, sgd(model, 0.05), check=never_moves(model.trunk.parameters()))


@case(
    "layer-never-called", layers="extra", note="A layer is made and registered but not used.", **DISCONNECTED
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.extra = nn.Linear(64, 64)
            self.head = nn.Linear(64, 10)

        def forward(self, x):
            return self.head(F.relu(self.first(x)))

    model = Net()
    return classify(model, adam(model), check=never_moves(model.extra.parameters()))


@case(
    "optimizer-of-a-copy",
    note="The optimizer was given the parameters of a deep copy: the trained net never changes.",
    family="connection",
    expect="LG404",
)
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    return classify(model, adam(copy.deepcopy(model)))


@case(
    "head-replaced-after-the-optimizer",
    note="The head is exchanged after the optimizer was made, which still holds the old head's weights.",
    **DISCONNECTED,
)
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    old = list(model[-1].parameters())
    optimizer = sgd(model, 0.05)
    model[-1] = nn.Linear(64, 10)
    return classify(model, optimizer, check=never_moves([*old, *model[-1].parameters()]))


@case(
    "auxiliary-head-not-in-the-loss",
    layers="auxiliary",
    note="A head whose output no loss uses.",
    **DISCONNECTED,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = mlp(1, 64, nn.ReLU, "he", outputs=32)
            self.head = nn.Linear(32, 10)
            self.auxiliary = nn.Linear(32, 4)

        def forward(self, x):
            features = F.relu(self.trunk(x))
            return self.head(features), self.auxiliary(features)

    model = Net()
    return classify(
        model,
        adam(model),
        loss=lambda outputs, labels: F.cross_entropy(outputs[0], labels),
        check=never_moves(model.auxiliary.parameters()),
    )


@case(
    "cnn-stem-detached",
    layers=r"\b[012]\b",
    note="detach() after the first convolutions of a CNN.",
    **DISCONNECTED,
)
def _():
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()

    body = cnn(4, 16, nn.ReLU, "he")
    model = nn.Sequential(*body[:4], Cut(), *body[4:])
    return classify(model, adam(model), images=True, size=32, check=never_moves(model[0].parameters()))


@case(
    "autoencoder-code-detached",
    layers="encoder",
    note="The code is detached, so only the decoder trains, on random codes.",
    **DISCONNECTED,
)
def _():
    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = mlp(1, 48, nn.ReLU, "he", outputs=8)
            self.decoder = mlp(1, 48, nn.ReLU, "he", inputs=8, outputs=64)

        def forward(self, x):
            return self.decoder(self.encoder(x).detach())

    model = Autoencoder()
    return reconstruct(model, adam(model), check=never_moves(model.encoder.parameters()))


@case(
    "loss-rebuilt-from-a-number",
    note="requires_grad=True on a loss rebuilt from loss.item(): backward runs and reaches nothing.",
    family="connection",
    expect="LG404",
)
def _():
    model = mlp(2, 64, nn.ReLU, "he")

    def loss(logits, labels):
        return torch.tensor(F.cross_entropy(logits, labels).item(), requires_grad=True)

    return classify(model, adam(model), loss=loss)


@case(
    "zero-grad-between-backward-and-step",
    family="connection",
    expect="LG404 LG401",
    note="zero_grad is called after backward: every step sees no gradient.",
)
def _():
    model = mlp(2, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.05)
    x, labels = data.digits()
    batch = sample(x, labels)
    generator = torch.Generator().manual_seed(0)

    def step():
        images, targets = batch(generator)
        loss = F.cross_entropy(model(images), targets)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        return loss.item()

    return Training((model,), (optimizer,), step, math.log(10))
