"""Networks that many cases share: plain stacks with a chosen activation and initialization."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def initialize(model: nn.Module, kind: str | float | None) -> nn.Module:
    """Draws the weights of every Linear and Conv anew, biases zero.

    `kind`: None keeps PyTorch's default; 'he', 'xavier', 'orthogonal', 'lecun'; a number is the gain g of
    N(0, g²/fan_in); 'std=0.01' is that standard deviation.
    """
    if kind is None:
        return model
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            _draw(module.weight, kind)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def _draw(weight: Tensor, kind: str | float) -> None:
    fan_in = weight[0].numel()
    if kind == "he":
        nn.init.normal_(weight, std=math.sqrt(2 / fan_in))
    elif kind == "xavier":
        nn.init.xavier_normal_(weight)
    elif kind == "lecun":
        nn.init.normal_(weight, std=math.sqrt(1 / fan_in))
    elif kind == "orthogonal":
        nn.init.orthogonal_(weight)
    elif isinstance(kind, str) and kind.startswith("std="):
        nn.init.normal_(weight, std=float(kind[4:]))
    else:
        nn.init.normal_(weight, std=float(kind) / math.sqrt(fan_in))


def mlp(
    depth: int,
    width: int = 64,
    activation: Callable[[], nn.Module] = nn.ReLU,
    init: str | float | None = None,
    inputs: int = 64,
    outputs: int = 10,
    norm: Callable[[int], nn.Module] | None = None,
) -> nn.Sequential:
    """`depth` hidden layers Linear(–norm)–activation as one Sequential, and a linear head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Linear(inputs if i == 0 else width, width))
        if norm is not None:
            layers.append(norm(width))
        layers.append(activation())
    layers.append(nn.Linear(width, outputs))
    model = nn.Sequential(*layers)
    initialize(model, init)
    return model


class FunctionalMLP(nn.Module):
    """The same plain stack with the activation called as a function in `forward`."""

    def __init__(self, depth, width, activation, init=None, inputs=64, outputs=10):
        super().__init__()
        self.activation = activation
        self.layers = nn.ModuleList([nn.Linear(inputs if i == 0 else width, width) for i in range(depth)])
        self.head = nn.Linear(width, outputs)
        initialize(self, init)

    def forward(self, x):
        for layer in self.layers:
            x = self.activation(layer(x))
        return self.head(x)


class GlobalMean(nn.Module):
    """Mean over all positions of an image or a sequence with channels first."""

    def forward(self, x):
        return x.flatten(2).mean(dim=2)


def cnn(
    depth: int,
    channels: int = 16,
    activation: Callable[[], nn.Module] = nn.ReLU,
    init: str | float | None = None,
    norm: Callable[[int], nn.Module] | None = None,
) -> nn.Sequential:
    """`depth` 3×3 convolutions Conv(–norm)–activation on 8×8 images, global mean, linear head."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Conv2d(1 if i == 0 else channels, channels, 3, padding=1))
        if norm is not None:
            layers.append(norm(channels))
        layers.append(activation())
    model = nn.Sequential(*layers, GlobalMean(), nn.Linear(channels, 10))
    initialize(model, init)
    return model


class Recurrent(nn.Module):
    """A torch recurrent module over (batch, time, inputs) and a linear readout of the last state."""

    def __init__(self, core: nn.Module, hidden: int, outputs: int = 1):
        super().__init__()
        self.core = core
        self.readout = nn.Linear(hidden, outputs)

    def forward(self, x):
        states, _ = self.core(x)
        answer = self.readout(states[:, -1])
        return answer.squeeze(-1) if answer.shape[-1] == 1 else answer


class UnrolledRNN(nn.Module):
    """h ← φ(W x_t + U h), written as a Python loop over time, with a linear readout of the last state."""

    def __init__(self, inputs, hidden, activation: Callable[[Tensor], Tensor] = torch.tanh, outputs=1):
        super().__init__()
        self.hidden = hidden
        self.activation = activation
        self.input = nn.Linear(inputs, hidden)
        self.recurrent = nn.Linear(hidden, hidden, bias=False)
        self.readout = nn.Linear(hidden, outputs)

    def forward(self, x):
        state = x.new_zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            state = self.activation(self.input(x[:, t]) + self.recurrent(state))
        answer = self.readout(state)
        return answer.squeeze(-1) if answer.shape[-1] == 1 else answer


class TransformerBlock(nn.Module):
    """Self-attention and MLP; `order` of LayerNorm is 'pre', 'post' or 'none'; `skip` adds the input."""

    def __init__(self, width, heads=4, order="pre", skip=True, causal=True, activation=nn.GELU):
        super().__init__()
        self.heads, self.order, self.skip, self.causal = heads, order, skip, causal
        norm = nn.LayerNorm if order != "none" else nn.Identity
        self.norm1, self.norm2 = norm(width), norm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width))

    def attend(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x):
        for norm, branch in ((self.norm1, self.attend), (self.norm2, self.mlp)):
            y = branch(norm(x) if self.order == "pre" else x)
            y = x + y if self.skip else y
            x = norm(y) if self.order == "post" else y
        return x


class CharTransformer(nn.Module):
    """Character model: embeddings, blocks, final norm (pre-LN), head."""

    def __init__(self, vocabulary, depth, width=32, length=32, tied=False, **block):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(length, width))
        nn.init.normal_(self.tokens.weight, std=0.2 if tied else 0.5)
        self.blocks = nn.ModuleList([TransformerBlock(width, **block) for _ in range(depth)])
        self.norm = nn.LayerNorm(width) if block.get("order", "pre") == "pre" else nn.Identity()
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))
