"""Plain convolutional stacks without skips whose signal vanishes or explodes."""

import torch
from tests.zoo.case import case, register
from tests.zoo.data import text
from tests.zoo.loops import adam, adamw, classify, next_character, sgd
from tests.zoo.models import GlobalMean, cnn, initialize
from torch import nn
from torch.nn import functional as F


def images(make_optimizer, lr, *shape, **options):
    """A build function: cnn(*shape, **options) on the digits, batches of 32."""

    def build():
        model = cnn(*shape, **options)
        return classify(model, make_optimizer(model, lr), images=True, size=32)

    return build


def vanishing(name, build, note, **fields):
    register(name, build, family="cnn", expect="LG101", tolerated="LG401", note=note, **fields)


vanishing(
    "cnn-30-default-adam", images(adam, 1e-3, 30, 16), "Plain ReLU CNN at default init: 0.41 per layer."
)
vanishing("cnn-20-default-sgd", images(sgd, 0.05, 20, 16), "Twenty convolutions at default init, SGD.")
vanishing(
    "cnn-30-tanh-default-sgd", images(sgd, 0.1, 30, 16, nn.Tanh), "Plain tanh CNN at default init, SGD."
)
vanishing(
    "cnn-10-sigmoid-xavier", images(adam, 1e-3, 10, 16, nn.Sigmoid, "xavier"), "LeNet's sigmoid, ten deep."
)
vanishing(
    "cnn-16-std-0.01-momentum",
    images(lambda m, lr: sgd(m, lr, momentum=0.9), 0.01, 16, 16, nn.ReLU, "std=0.01"),
    "VGG-16's depth with the N(0, 0.01²) start that made its authors pretrain a shallow net first.",
)
vanishing(
    "cnn-40-gelu-lecun", images(adamw, 1e-3, 40, 12, nn.GELU, "lecun"), "GELU with LeCun's gain, no norm."
)


@case(
    "cnn-16-std-1",
    family="cnn",
    expect="LG103",
    tolerated="LG301 LG402",
    note="N(0, 1) filters over 144 inputs: a factor of 8 per layer.",
)
def _():
    model = cnn(16, 16, nn.ReLU, "std=1")
    return classify(model, adam(model), images=True, size=32)


@case(
    "cnn-24-tanh-gain-4",
    family="cnn",
    expect="LG103",
    tolerated="LG201 LG301 LG402",
    note="Chaotic tanh CNN, SGD.",
)
def _():
    model = cnn(24, 16, nn.Tanh, 4.0)
    return classify(model, sgd(model, 0.01), images=True, size=32)


class Separable(nn.Module):
    """Depthwise 3×3, pointwise 1×1, ReLU6, no norm and no skip."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return F.relu6(self.pointwise(F.relu6(self.depthwise(x))))


@case(
    "depthwise-separable-16-no-norm",
    family="cnn",
    expect="LG101",
    tolerated="LG401 LG202",
    note="MobileNet blocks with the BatchNorm removed, default init.",
)
def _():
    blocks = [Separable(16) for _ in range(16)]
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), *blocks, GlobalMean(), nn.Linear(16, 10))
    return classify(model, adam(model), images=True, size=32)


class PlainConvText(nn.Module):
    """Causal dilated convolutions over characters, WaveNet's stack without gates and residuals."""

    def __init__(self, depth, width=24):
        super().__init__()
        self.embedding = nn.Embedding(text()[1], width)
        self.convs = nn.ModuleList([nn.Conv1d(width, width, 2) for _ in range(depth)])
        self.dilations = [2 ** (i % 4) for i in range(depth)]
        for conv, dilation in zip(self.convs, self.dilations, strict=True):
            conv.dilation = (dilation,)
        self.head = nn.Linear(width, text()[1])

    def forward(self, tokens):
        x = self.embedding(tokens).transpose(1, 2)
        for conv, dilation in zip(self.convs, self.dilations, strict=True):
            x = torch.tanh(conv(F.pad(x, (dilation, 0))))
        return self.head(x.transpose(1, 2))


@case(
    "conv1d-32-tanh-text",
    family="cnn",
    expect="LG101",
    tolerated="LG401",
    note="32 causal dilated convolutions at default init: it never beats the character frequencies.",
    steps=60,
)
def _():
    model = PlainConvText(32)
    return next_character(model, adam(model))


@case(
    "cnn-24-averaging-filters",
    family="cnn",
    expect="LG101",
    tolerated="LG401",
    note="Filters initialized to 1/(4 fan_in): all channels equal and four times too small.",
)
def _():
    model = initialize(cnn(24, 16, nn.ReLU), "he")
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(0.25 / module.weight[0].numel())
    return classify(model, sgd(model, 0.05), images=True, size=32)
