"""Where a forward pass leaves the graph, and where a custom function is applied."""

import inspect

import pytest
import torch
from torch import nn


class Cutting(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.first, self.second, self.how = nn.Linear(4, 4), nn.Linear(4, 2), how

    def forward(self, x):
        h = torch.no_grad()(self.first)(x) if self.how == "no_grad" else self.first(x)
        if self.how == "detach":
            h = h.detach()
        if self.how == "data":
            h = torch.tanh(h).data
        return self.second(h)


def line_of(text, of=Cutting):
    lines, first = inspect.getsourcelines(of)
    return first + next(k for k, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    "how, text", [("detach", "h.detach()"), ("data", ").data"), ("no_grad", "no_grad()(")]
)
def test_what_cuts_parameters_off_is_named_with_its_line(scan_step, how, text):
    torch.manual_seed(0)
    model = Cutting(how)
    cut = scan_step(model, lambda: model(torch.randn(8, 4)).square().mean()).result.cut_off
    assert {tensor: call for tensor, (call, _) in cut.items()} == {0: how, 1: how}
    assert {line for _, line in cut.values()} == {f"tests/probe/test_cut.py:{line_of(text)}"}


def test_a_copy_beside_the_graph_cuts_nothing_off(scan_step):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))

    def forward():
        y = model(torch.randn(8, 4))
        return (y - y.detach() * 0.5).square().mean()

    assert scan_step(model, forward).result.cut_off == {}


class Tenth(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 0.1

    @staticmethod
    def backward(ctx, g):
        return 0.1 * g


class Applying(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = self.small(self.first(x))
        return self.second(h)

    def small(self, x):
        return Tenth.apply(x)


def test_a_custom_function_has_the_line_that_applies_it(scan_step):
    model = nn.Sequential(Applying())
    scanned = scan_step(model, lambda: model(torch.randn(8, 4)).square().mean())
    tenth = next(layer for layer in scanned.layers if layer.type == "Tenth")
    assert tenth.source == f"tests/probe/test_cut.py:{line_of('Tenth.apply', Applying)}"
