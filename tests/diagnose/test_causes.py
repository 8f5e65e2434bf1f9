"""Causes of real networks' silence and noise: the operation and the line that were planted are the ones
named.
"""

import linecache
import math

import pytest
import torch
import torch.nn.functional as F
from tests.diagnose.watched import train
from torch import nn

WIDTH = 64
HE = math.sqrt(2)


def he(layer, gain=HE):
    nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
    nn.init.zeros_(layer.bias)
    return layer


class Stack(nn.Module):
    """Linear layers of one gain, and what a subclass does at each of them."""

    def __init__(self, depth, gain=HE, width=WIDTH, layers=None):
        super().__init__()
        self.layers = nn.ModuleList(layers or (he(nn.Linear(width, width), gain) for _ in range(depth)))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x = self.step(layer, x)
        return self.head(x)


class Sigmoid(Stack):
    def step(self, layer, x):
        return torch.sigmoid(layer(x))  # planted


class Softplus(Stack):
    def step(self, layer, x):
        return F.softplus(layer(x))  # planted


class TanhMethod(Stack):
    def step(self, layer, x):
        x = layer(x)  # planted
        return x.tanh()


class Gelu(Stack):
    def step(self, layer, x):
        x = layer(x)  # planted
        return F.gelu(x)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = he(nn.Linear(WIDTH, WIDTH))

    def forward(self, x):
        return x + torch.relu(self.inner(x))  # planted


class Scaled(Stack):
    def step(self, layer, x):
        return torch.relu(layer(x) * 0.1)  # planted


class ScaledInPlace(Stack):
    def step(self, layer, x):
        x = layer(x)
        x.mul_(0.1)  # planted
        return x.relu_()


class Divided(Stack):
    def step(self, layer, x):
        return torch.relu(layer(x)) / 10  # planted


class Shrink(nn.Module):
    def forward(self, x):
        return 0.1 * x  # planted


class WithCustomModule(Stack):
    def __init__(self, depth):
        super().__init__(depth)
        self.shrink = Shrink()

    def step(self, layer, x):
        return self.shrink(torch.relu(layer(x)))


class SoftmaxHidden(Stack):
    def step(self, layer, x):
        return torch.softmax(layer(x), -1)  # planted


class ScaledJoin(Stack):
    def step(self, layer, x):
        return (x + torch.relu(layer(x))) * 0.4  # planted


class ScaledSkip(Stack):
    def step(self, layer, x):
        return 0.3 * x + 0.05 * torch.relu(layer(x))  # planted


class GrowingResidual(Stack):
    def step(self, layer, x):
        return x + torch.relu(layer(x))  # planted


class DroppedOut(Stack):
    def step(self, layer, x):
        x = torch.sigmoid(layer(x))  # planted
        return F.dropout(x, 0.5, self.training)


class Plain(Stack):
    def step(self, layer, x):
        x = layer(x)  # planted
        return torch.relu(x)


class BatchNormed(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.norm = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in range(depth))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x):
        for linear, norm in zip(self.linear, self.norm, strict=True):
            x = linear(x)
            x = norm(x)  # planted
            x = torch.relu(x)
        return self.head(x)


class Lookup(nn.Module):
    """Reads from fixed keys and values, so that all that comes back comes through the softmax."""

    def __init__(self, depth, sharpness):
        super().__init__()
        self.query = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.keys, self.values = (
            nn.ParameterList(torch.randn(32, WIDTH) for _ in range(depth)) for _ in "kv"
        )
        self.head, self.sharpness = nn.Linear(WIDTH, 10), sharpness

    def forward(self, x):
        for query, keys, values in zip(self.query, self.keys, self.values, strict=True):
            scores = self.sharpness * query(x) @ keys.T
            weights = F.softmax(scores, dim=-1)  # planted
            x = weights @ values
        return self.head(x)


class ScaledEmbedding(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.embed, self.scale = nn.Embedding(50, WIDTH), scale
        self.layers = nn.ModuleList(he(nn.Linear(WIDTH, WIDTH), 1.6) for _ in range(4))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x):
        x = self.embed(x)[:, 0]
        x = x * self.scale  # planted
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.input, self.again, self.head = nn.Linear(4, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x):
        state = x.new_zeros(len(x), WIDTH)
        for step in range(x.shape[1]):
            before = self.input(x[:, step])
            after = self.again(state)  # planted
            state = torch.tanh(before + after)
        return self.head(state)


def one_of(depth, at, **change):
    layers = [he(nn.Linear(WIDTH, WIDTH)) for _ in range(depth)]
    for name, value in change.items():
        nn.init.normal_(getattr(layers[at], name), std=value)
    return Plain(depth, layers=layers)


def weight_normed(depth, size):
    layers = [nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)) for _ in range(depth)]
    for layer in layers:
        nn.init.constant_(layer.parametrizations.weight.original0, size)
    return Plain(depth, layers=layers)


ROWS = torch.randn(64, WIDTH, generator=torch.Generator().manual_seed(1))
SERIES = torch.randn(32, 40, 4, generator=torch.Generator().manual_seed(2))
WORDS = torch.arange(64).remainder(50).unsqueeze(1)

# name: what is built, its input, and the code, operator and kind that are to be found.
CASES = {
    "torch.sigmoid": (lambda: Sigmoid(14, 1.0), ROWS, "LG101", "Sigmoid", "activation-slope"),
    "F.softplus": (lambda: Softplus(30, 1.04), ROWS, "LG101", "Softplus", "activation-slope"),
    "small weights under x.tanh()": (lambda: TanhMethod(10, 0.3), ROWS, "LG101", "Linear", "weights-small"),
    "large weights under x.tanh()": (lambda: TanhMethod(12, 8.0), ROWS, "LG103", "Linear", "weights-large"),
    "GELU at the gain of ReLU": (lambda: Gelu(60), ROWS, "LG101", "Linear", "weights-small"),
    "blocks that end in a sum": (
        lambda: nn.Sequential(*(Block() for _ in range(30)), nn.Linear(WIDTH, 10)),
        ROWS,
        "LG103",
        "add",
        "residual-scale",
    ),
    "x * 0.1": (lambda: Scaled(8), ROWS, "LG101", "mul", "operation"),
    "x.mul_(0.1)": (lambda: ScaledInPlace(8), ROWS, "LG101", "mul", "operation"),
    "x / 10": (lambda: Divided(8), ROWS, "LG101", "div", "operation"),
    "a module of one's own": (lambda: WithCustomModule(8), ROWS, "LG101", "Shrink", "operation"),
    "softmax between layers": (lambda: SoftmaxHidden(6), ROWS, "LG101", "softmax", "operation"),
    "a sharp attention": (lambda: Lookup(4, 80.0), ROWS, "LG101", "softmax", "operation"),
    "a scaled join": (lambda: ScaledJoin(14, 0.5), ROWS, "LG101", "mul", "residual-scale"),
    "a scaled skip": (lambda: ScaledSkip(14), ROWS, "LG101", "mul", "residual-scale"),
    "residual sums": (lambda: GrowingResidual(30), ROWS, "LG103", "add", "residual-scale"),
    "dropout beside sigmoid": (lambda: DroppedOut(14, 1.0), ROWS, "LG101", "Sigmoid", "activation-slope"),
    "weight norm": (lambda: weight_normed(10, 0.2), ROWS, "LG101", "ParametrizedLinear", "weights-small"),
    "batch norm in depth": (lambda: BatchNormed(50), ROWS, "LG103", "BatchNorm1d", "normalization"),
    "a tiny embedding": (lambda: ScaledEmbedding(1e-6), WORDS, "LG101", "mul", "operation"),
    "a loop": (Loop, SERIES, "LG102", "Linear", "time"),
}


def found(path, build, x, code):
    torch.manual_seed(0)
    run = train(path, build(), x, torch.arange(len(x)) % 10, steps=1, rate=1e-4)
    causes = {finding["code"]: finding["cause"] for finding in run.report().findings}
    assert code in causes, causes
    return causes[code]


def line(source):
    name, _, number = source.rpartition(":")
    return linecache.getline(name, int(number))


@pytest.mark.parametrize("name", CASES)
def test_what_was_planted_is_named_with_its_line(name, tmp_path):
    build, x, code, operator, kind = CASES[name]
    cause = found(tmp_path / "run", build, x, code)
    assert (cause["operator"], cause["kind"]) == (operator, kind)
    assert "# planted" in line(cause["source"]), line(cause["source"])
    assert cause["layers"]


@pytest.mark.parametrize(
    "deviation, code, kind, said",
    [(1e-6, "LG101", "weights-small", "too small"), (1e3, "LG103", "weights-large", "too large")],
)
def test_one_layer_among_many_is_named_alone(deviation, code, kind, said, tmp_path):
    cause = found(tmp_path / "run", lambda: one_of(14, 6, weight=deviation), ROWS, code)
    assert (cause["operator"], cause["kind"], cause["layers"]) == ("Linear", kind, ["layers.6"])
    assert said in cause["summary"] and "1 of 14 Linear (layers.6)" in cause["summary"]


def test_weights_that_are_given_nothing_are_not_what_is_small(tmp_path):
    """An LSTM whose gates are shut hands on 1e-26, and the head's biases are all that is heard."""

    class Shut(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.LSTM(4, 16, batch_first=True)
            self.head = nn.Linear(16, 10)
            with torch.no_grad():
                self.core.bias_ih_l0[:16] = -30
                self.core.bias_ih_l0[48:] = -30

        def forward(self, x):
            return self.head(self.core(x)[0][:, -1])  # planted

    cause = found(tmp_path / "run", Shut, torch.randn(16, 6, 4), "LG101")
    assert (cause["operator"], cause["layers"]) == ("LSTM", ["core"])
    assert "beside the biases of head that is nothing" in cause["summary"]
    assert "# planted" in line(cause["source"]) and cause["confirmed"] is None


def test_each_finding_tells_measured_and_expected_side_by_side(tmp_path):
    cause = found(tmp_path / "run", lambda: Sigmoid(14, 1.0), ROWS, "LG101")
    sigmoid, linear = cause["bill"]
    assert (sigmoid["label"], linear["label"]) == ("Sigmoid", "Linear")
    assert sigmoid["decades"] == pytest.approx(sigmoid["expected_decades"], abs=0.3)
    assert sigmoid["best_decades"] == pytest.approx(14 * math.log10(0.25))
    assert linear["decades"] == pytest.approx(linear["expected_decades"], abs=0.5)
    assert linear["needed_factor"] == pytest.approx(1.8462, abs=1e-4)
