"""Five trainings: heavy in arithmetic, convolutions, memory, time steps, and in many small tensors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Training:
    """A model, its optimizer, and one step of training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[], None]


def deep_mlp() -> Training:
    """50 layers of 256 ReLU units, batches of 128."""
    layers = [layer for _ in range(49) for layer in (nn.Linear(256, 256), nn.ReLU())]
    model = _healthy(nn.Sequential(*layers, nn.Linear(256, 10)), 2**0.5)
    return _classify(model, torch.randn(128, 256), torch.randint(10, (128,)))


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def small_resnet() -> Training:
    """A ResNet of 20 layers for images of 32 by 32, batches of 16."""
    blocks = [nn.Conv2d(3, 16, 3, 1, 1), *(_Block(16, 16, 1) for _ in range(3))]
    blocks += [_Block(16, 32, 2), *(_Block(32, 32, 1) for _ in range(2))]
    blocks += [_Block(32, 64, 2), *(_Block(64, 64, 1) for _ in range(2))]
    model = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return _classify(model, torch.randn(16, 3, 32, 32), torch.randint(10, (16,)))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))


class _GPT(nn.Module):
    def __init__(self, vocabulary: int, length: int, width: int, depth: int, heads: int):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(_Attention(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)


def gpt_10m() -> Training:
    """A GPT with 10.7 million parameters (6 blocks of width 384), 2 sequences of 64 tokens."""
    tokens = torch.randint(65, (2, 65))
    return _classify(_GPT(65, 64, 384, 6, 6), tokens[:, :-1], tokens[:, 1:].flatten())


class _LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 64)
        self.lstm = nn.LSTM(64, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 100)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0]).flatten(0, 1)


def lstm() -> Training:
    """Two LSTM layers of 256 units over 64 time steps, batches of 16."""
    tokens = torch.randint(100, (16, 65))
    return _classify(_LSTM(), tokens[:, :-1], tokens[:, 1:].flatten())


def tiny_layers() -> Training:
    """400 layers of 16 tanh units, batches of 16: 800 tensors, so what counts is the cost per tensor."""
    layers = [layer for _ in range(399) for layer in (nn.Linear(16, 16), nn.Tanh())]
    model = _healthy(nn.Sequential(*layers, nn.Linear(16, 10)), 1.0)
    # Without biases and with inputs of size 1/√depth such a net is audible from end to end; a sick one would
    # be diagnosed at once.
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    return _classify(model, 0.05 * torch.randn(16, 16), torch.randint(10, (16,)))


def _healthy(model: nn.Module, gain: float) -> nn.Module:
    """Start from orthogonal weights: vanished gradients are denormal numbers, slow to compute with."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain)
    return model


def _classify(model: nn.Module, inputs: Tensor, targets: Tensor) -> Training:
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return Training(model, optimizer, step)


WORKLOADS: dict[str, Callable[[], Training]] = {
    "50-layer MLP": deep_mlp,
    "small ResNet": small_resnet,
    "10M GPT": gpt_10m,
    "LSTM": lstm,
    "400 tiny layers": tiny_layers,
}
