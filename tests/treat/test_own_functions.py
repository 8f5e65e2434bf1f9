"""Treating nets whose activations are expressions of their own, which no catalogue knows."""

import math

import pytest
import torch
from torch import nn

import livegrad

LAYERS = 12


class Net(nn.Module):
    """Linear layers of one width with `function` behind each."""

    def __init__(self, function, width=64):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(LAYERS))
        self.out = nn.Linear(width, 3)

    def forward(self, x):
        for layer in self.hidden:
            x = self.function(layer(x))
        return self.out(x)


def treated(function, spec):
    batch = torch.randn(256, 64, generator=torch.Generator().manual_seed(1))
    return livegrad.treat(Net(function), spec, inputs=batch).certificate


FUNCTIONS = {
    "gelu by hand": lambda x: x * torch.sigmoid(1.702 * x),
    "sigmoid by hand": lambda x: 1 / (1 + torch.exp(-x)),
    "leaky by hand": lambda x: torch.where(x > 0, x, 0.1 * x),
    "clamped": lambda x: x.clamp(-0.01, 0.01),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_way_around_layers_needs_no_name_of_what_is_between_them(name):
    found = treated(FUNCTIONS[name], "skip")
    assert not found.decades_before > -3 and abs(found.decades_after) < 1


def test_sines_of_six_times_the_signal_are_met_where_they_are_linear():
    """At variance one sin(6z) passes back √(36 E cos² 6z / E sin² 6z) = 6 per layer: 9.3 decades over twelve.
    At variance 0.01, E z² = 0.01 and 6z of spread 0.6: √(36 · 0.74 / 25.7) = 1.02.
    """
    at_one = treated(lambda x: torch.sin(6 * x), "init=lsuv:variance=1")
    best = treated(lambda x: torch.sin(6 * x), "init=lsuv")
    assert at_one.decades_after == pytest.approx(LAYERS * math.log10(6), abs=1.0)
    assert abs(best.decades_after) < 0.5


def test_lsuv_keeps_to_variance_one_where_the_signal_passes():
    torch.manual_seed(0)
    model = Net(lambda x: torch.where(x > 0, x, 0.1 * x))
    done = livegrad.treat(model, "init=lsuv", inputs=torch.randn(256, 64))
    assert str(done.choices[0]) == "init=lsuv"


class Graph(nn.Module):
    """Graph convolutions: each point takes the mean over its neighbours before the weights."""

    def __init__(self, depth=16, width=32, points=40):
        super().__init__()
        torch.manual_seed(0)
        near = torch.rand(points, points) < 0.1
        near = (near | near.T | torch.eye(points, dtype=torch.bool)).float()
        self.register_buffer("mean", near / near.sum(1, keepdim=True))
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(self.mean @ x))
        return x


def test_a_way_leads_around_layers_of_a_graph_net_that_averages_between_them():
    done = livegrad.treat(Graph(), "skip", inputs=torch.randn(40, 32)).certificate
    assert done.decades_before < -3 and abs(done.decades_after) < 1
