"""Stacks that take the places of a sequence, or the nodes of a graph, to one vector."""

import torch
from tests.zoo.case import case
from tests.zoo.healthy_tokens import Graph, Tagger, communities, on_graph, tag
from tests.zoo.loops import adam, sgd
from torch import nn


def collapsed(name, note, **fields):
    options = {"family": "collapse", "note": note, "expect": "LG203", "truth": "stuck", "steps": 60}
    return case(name, **(options | {"tolerated": "LG101 LG103 LG401 LG402 LG503"} | fields))


class Averaging(nn.Module):
    """Self-attention and nothing around it; orthogonal values keep the size of what is common."""

    def __init__(self, width=32, norm=False):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        nn.init.orthogonal_(self.v.weight)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()

    def forward(self, x):
        weights = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / x.shape[-1] ** 0.5, -1)
        return self.norm(weights @ self.v(x))


@collapsed("attention-8-without-skips", "Eight layers of attention alone (Dong et al. 2021).")
def _():
    model = Tagger([Averaging() for _ in range(8)])
    return tag(model, sgd(model, 0.03))


@collapsed("attention-6-normed-without-skips", "LayerNorm keeps the size, not the difference.")
def _():
    model = Tagger([Averaging(norm=True) for _ in range(6)])
    return tag(model, adam(model, 1e-4))


@collapsed("attention-12-without-skips-sgd", "Twelve layers, SGD with momentum.")
def _():
    model = Tagger([Averaging(norm=True) for _ in range(12)])
    return tag(model, sgd(model, 1e-3, momentum=0.9))


@collapsed("graph-convolution-32-over-smoothed", "Thirty-two graph convolutions: all nodes become one.")
def _():
    adjacency, x, y = communities()
    model = Graph(32, adjacency)
    return on_graph(model, sgd(model, 1e-3), x, y)


@collapsed("graph-convolution-64-over-smoothed", "Sixty-four, wider, under momentum.", expect="LG203 LG101")
def _():
    adjacency, x, y = communities()
    model = Graph(64, adjacency, width=48)
    return on_graph(model, sgd(model, 1e-4, momentum=0.9), x, y)


@collapsed(
    "neighbours-averaged-20-times", "A moving average over a sequence, twenty times, then an answer each."
)
def _():
    class Smooth(nn.Module):
        def forward(self, x):
            return (x + x.roll(1, 1) + x.roll(-1, 1) + x.mean(1, keepdim=True)) / 4

    model = Tagger([Smooth() for _ in range(20)])
    return tag(model, sgd(model, 0.05))
