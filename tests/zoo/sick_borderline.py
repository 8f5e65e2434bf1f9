"""Milder, partial and late faults: the hard half of the sick."""

import torch
from tests.zoo import data
from tests.zoo.case import case, register
from tests.zoo.loops import adam, classify, never_moves, next_character, reconstruct, sgd
from tests.zoo.models import FunctionalMLP, cnn, initialize, mlp
from torch import nn
from torch.nn import functional as F

VANISHING = {"family": "borderline", "expect": "LG101", "tolerated": "LG401"}
EXPLODING = {"family": "borderline", "expect": "LG103", "tolerated": "LG201 LG301 LG402"}


def plain(name, note, fields, lr, *shape, make_optimizer=sgd, **options):
    def build():
        model = mlp(*shape, **options)
        return classify(model, make_optimizer(model, lr))

    register(name, build, note=note, **fields)


plain("sigmoid-6-default-sgd", "Six sigmoid layers: five decades.", VANISHING, 0.1, 6, 64, nn.Sigmoid)
plain("relu-16-default-sgd", "Sixteen ReLU layers at default init: 6 decades.", VANISHING, 0.05, 16, 64)
plain("tanh-18-default-sgd", "Eighteen tanh layers at default init.", VANISHING, 0.05, 18, 64, nn.Tanh)
plain(
    "relu-30-default-adam",
    "Deep enough that Adam does not help.",
    VANISHING,
    1e-3,
    30,
    64,
    make_optimizer=adam,
)
plain("tanh-24-gain-2.5-sgd", "Moderate chaos.", EXPLODING, 0.05, 24, 100, nn.Tanh, 2.5)
plain(
    "softmax-as-hidden-activation-6",
    "softmax between layers: its Jacobian is about 1/width.",
    VANISHING,
    0.1,
    6,
    64,
    lambda: nn.Softmax(dim=1),
)


@case("cnn-14-default-sgd", note="Fourteen plain convolutions at default init.", **VANISHING)
def _():
    model = cnn(14, 16)
    return classify(model, sgd(model, 0.05), images=True, size=32)


class Towers(nn.Module):
    """A deep tower for the upper half of the image and a shallow one for the lower."""

    def __init__(self, deep):
        super().__init__()
        self.deep = deep
        self.shallow = mlp(1, 32, nn.ReLU, "he", inputs=32, outputs=32)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        upper, lower = x.split(32, dim=1)
        return self.head(torch.cat([self.deep(upper), self.shallow(lower)], dim=1))


@case(
    "one-tower-of-two-vanishes",
    note="A 20-layer sigmoid tower beside a sound one: the net learns from half of the image, the deep"
    " tower's first"
    " layer never moves.",
    truth="checked",
    layers="deep",
    **VANISHING,
)
def _():
    model = Towers(mlp(20, 32, nn.Sigmoid, "xavier", inputs=32, outputs=32))
    check = never_moves([model.deep[0].weight], within=1e-6)
    return classify(model, sgd(model, 0.1), check=check)


@case(
    "one-tower-of-two-dead",
    note="The same with a tower whose second ReLU layer has bias -20.",
    truth="checked",
    layers="deep",
    family="borderline",
    expect="LG202",
    tolerated="LG101 LG401 LG404",
)
def _():
    model = Towers(mlp(2, 32, nn.ReLU, "he", inputs=32, outputs=32))
    nn.init.constant_(model.deep[2].bias, -20)
    return classify(model, sgd(model, 0.1), check=never_moves([model.deep[0].weight]))


@case(
    "weights-that-grow-each-step",
    note="A weight decay of the wrong sign: each step lengthens every weight by a twentieth, sound at first.",
    family="borderline",
    expect="LG103 LG201 LG402 LG301",
    steps=80,
)
def _():
    model = mlp(12, 64, nn.Tanh, "xavier")
    optimizer = sgd(model, 0.05)

    def schedule(step):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.05 if step < 100 else 1.0)

    return classify(model, optimizer, schedule=schedule)


@case(
    "decay-begins-at-step-30",
    note="After thirty good steps a schedule sets weight decay to 5: the weights fade away.",
    steps=80,
    **VANISHING,
)
def _():
    model = mlp(6, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.05)

    def schedule(step):
        optimizer.param_groups[0]["weight_decay"] = 5.0 if step >= 30 else 0.0

    return classify(model, optimizer, schedule=schedule)


@case(
    "detached-after-step-20",
    note="A flag set after warm-up detaches the encoder for good, while the head goes on.",
    truth="checked",
    layers="encoder",
    steps=80,
    family="borderline",
    expect="LG404",
    tolerated="LG401",
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = mlp(2, 64, nn.ReLU, "he", outputs=32)
            self.head = nn.Linear(32, 10)
            self.cut = False

        def forward(self, x):
            x = self.encoder(x)
            return self.head(x.detach() if self.cut else x)

    model = Net()
    checks = []

    def schedule(step):
        if step == 20:
            model.cut = True
            checks.append(never_moves(model.encoder.parameters()))

    return classify(model, sgd(model, 0.01), schedule=schedule, check=lambda: checks[0]())


@case(
    "rate-decays-tenfold-each-step",
    note="A per-epoch schedule called at each step: after nine steps the rate is 1e-11 and the loss"
    " where it was.",
    family="borderline",
    expect="LG401",
)
def _():
    model = mlp(3, 64, nn.ReLU, "he")
    optimizer = sgd(model, 0.01)

    def schedule(step):
        optimizer.param_groups[0]["lr"] = 0.01 * 0.1 ** min(step, 12)

    return classify(model, optimizer, schedule=schedule)


@case(
    "resnet-40-he-no-norm",
    note="Residual blocks with He init and no norm: the stream doubles at each.",
    **EXPLODING,
)
def _():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = initialize(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), "he")

        def forward(self, x):
            return x + self.net(x)

    model = nn.Sequential(*[Block() for _ in range(40)], nn.Linear(64, 10))
    return classify(model, sgd(model, 0.01))


@case(
    "relu-on-the-logits-dead",
    note="A ReLU after the head whose bias is -10: all logits are 0.",
    family="borderline",
    expect="LG202",
    tolerated="LG101 LG401 LG404",
)
def _():
    model = nn.Sequential(mlp(2, 64, nn.ReLU, "xavier"), nn.ReLU())
    nn.init.constant_(model[0][-1].bias, -10)
    return classify(model, adam(model))


@case(
    "clamp-to-a-hundredth-8",
    note="clamp(-0.01, 0.01) after each of eight layers.",
    family="borderline",
    expect="LG101 LG201",
    tolerated="LG401 LG202",
)
def _():
    model = FunctionalMLP(8, 64, lambda x: x.clamp(-0.01, 0.01), "he")
    return classify(model, sgd(model, 0.05))


@case(
    "autoencoder-10-sigmoid-momentum",
    note="Ten sigmoid layers, SGD with momentum: the mean image.",
    **VANISHING,
)
def _():
    model = mlp(10, 48, nn.Sigmoid, "xavier", outputs=64)
    return reconstruct(model, sgd(model, 0.5, momentum=0.9))


@case(
    "convolution-text-16-sigmoid",
    note="Sixteen causal convolutions with sigmoids on characters.",
    **VANISHING,
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 24)
            self.convs = nn.ModuleList([nn.Conv1d(24, 24, 2) for _ in range(16)])
            self.head = nn.Linear(24, data.text()[1])

        def forward(self, tokens):
            x = self.embedding(tokens).transpose(1, 2)
            for conv in self.convs:
                x = torch.sigmoid(conv(F.pad(x, (1, 0))))
            return self.head(x.transpose(1, 2))

    model = Net()
    return next_character(model, adam(model))


@case(
    "starved-embedding",
    note="The embedding alone has rate 1e-12 in its own group.",
    truth="checked",
    layers="embedding",
    family="borderline",
    expect="LG401",
)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(data.text()[1], 32)
            self.head = mlp(1, 64, nn.ReLU, "he", inputs=32, outputs=data.text()[1])

        def forward(self, tokens):
            return self.head(self.embedding(tokens))

    model = Net()
    groups = [
        {"params": list(model.embedding.parameters()), "lr": 1e-12},
        {"params": list(model.head.parameters())},
    ]
    check = never_moves(model.embedding.parameters(), within=1e-6)
    return next_character(model, torch.optim.Adam(groups, lr=1e-2), check=check)
