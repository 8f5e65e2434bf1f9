"""Sequences and graphs whose places are alike, and that are well all the same."""

import math

import torch
from tests.zoo.case import case
from tests.zoo.loops import adam, classify, train
from tests.zoo.models import TransformerBlock
from torch import nn
from torch.nn import functional as F


def alike(name, note, **fields):
    return case(name, **({"family": "collapse", "note": note, "steps": 100} | fields))


class Tagger(nn.Module):
    """Symbols, positions, blocks, an answer for each place: (batch, length) to (batch, symbols, length)."""

    def __init__(self, blocks, symbols=8, width=32, length=24):
        super().__init__()
        self.symbols, self.blocks = nn.Embedding(symbols, width), nn.ModuleList(blocks)
        self.positions = nn.Parameter(0.5 * torch.randn(length, width))
        self.head = nn.Linear(width, symbols)

    def forward(self, x):
        z = self.symbols(x) + self.positions[: x.shape[1]]
        for block in self.blocks:
            z = block(z)
        return self.head(z).transpose(1, 2)


def tag(model, optimizer, length=24, symbols=8, padding=0):
    """Name each symbol; the last `padding` places are all the same symbol."""

    def draw(generator):
        x = torch.randint(1, symbols, (16, length), generator=generator)
        if padding:
            x[:, -padding:] = 0
        return x, x

    return train(model, optimizer, draw, loss=F.cross_entropy, baseline=math.log(symbols - 1))


class Graph(nn.Module):
    """Graph convolutions z ← φ(A z W) over a ring of communities; skip adds z."""

    def __init__(self, depth, adjacency, width=32, inputs=16, classes=4, skip=False):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.first = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head, self.skip = nn.Linear(width, classes), skip
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        z = torch.relu(self.first(x))
        for layer in self.layers:
            y = torch.relu(self.adjacency @ layer(z))
            z = z + y / len(self.layers) ** 0.5 if self.skip else y
        return self.head(z)


def communities(nodes=96, classes=4, inputs=16):
    """A random graph of four communities, its normalized adjacency with self-loops, features and labels."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(nodes) % classes
    chance = torch.where(y[:, None] == y, 0.3, 0.1)
    edges = (torch.rand(nodes, nodes, generator=generator) < chance).triu(1).float()
    edges = edges + edges.T + torch.eye(nodes)
    root = edges.sum(1).rsqrt()
    x = F.one_hot(y, inputs).float() + 0.7 * torch.randn(nodes, inputs, generator=generator)
    return root[:, None] * edges * root, x, y


def on_graph(model, optimizer, x, y):
    return train(model, optimizer, lambda generator: (x, y), loss=F.cross_entropy, baseline=math.log(4))


@alike("tagger-pre-ln-4", "Four pre-LN blocks name every symbol.")
def _():
    model = Tagger([TransformerBlock(32, causal=False) for _ in range(4)])
    return tag(model, adam(model, 3e-3))


@alike("tagger-post-ln-4", "Four post-LN blocks name every symbol.")
def _():
    model = Tagger([TransformerBlock(32, causal=False, order="post") for _ in range(4)])
    return tag(model, adam(model, 3e-3))


@alike("tagger-mostly-padding", "Twenty of 24 places are padding, all the same.")
def _():
    model = Tagger([TransformerBlock(32, causal=False) for _ in range(2)])
    return tag(model, adam(model, 3e-3), padding=20)


@alike("digits-by-class-token-4", "Rows of digits and a class token whose answer alone is read.", steps=150)
def _():
    class ByToken(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows, self.token = nn.Linear(8, 32), nn.Parameter(torch.zeros(1, 1, 32))
            self.positions = nn.Parameter(0.5 * torch.randn(9, 32))
            self.blocks = nn.Sequential(*[TransformerBlock(32, causal=False) for _ in range(4)])
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            rows = self.rows(x.view(-1, 8, 8))
            z = torch.cat([self.token.expand(len(x), -1, -1), rows], 1) + self.positions
            return self.head(self.blocks(z)[:, 0])

    model = ByToken()
    return classify(model, adam(model, 3e-3))


@alike("graph-convolution-2", "Two graph convolutions: neighbours lean one way, and are told apart.")
def _():
    adjacency, x, y = communities()
    model = Graph(2, adjacency)
    return on_graph(model, adam(model, 1e-2), x, y)


@alike("graph-convolution-24-skips", "Twenty-four graph convolutions with skips.")
def _():
    adjacency, x, y = communities()
    model = Graph(24, adjacency, skip=True)
    return on_graph(model, adam(model, 3e-3), x, y)


@alike("bag-of-rows-attention-without-skips", "Tokens become one, and one answer is asked for.", steps=200)
def _():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.rows = nn.Linear(8, 32)
            self.positions = nn.Parameter(torch.randn(8, 32))
            self.block = TransformerBlock(32, causal=False, skip=False, order="none")
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.block(self.rows(x.view(-1, 8, 8)) + self.positions).mean(1))

    model = Bag()
    return classify(model, adam(model, 3e-3))
