"""A residual MLP, built from a registry."""

import torch
from torch import nn

MODELS = {}


def register(cls):
    MODELS[cls.__name__] = cls
    return cls


class Residual(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


@register
class ResMLP(nn.Module):
    def __init__(self, dim, depth, classes):
        super().__init__()
        self.stem = nn.Linear(64, dim)
        self.body = nn.Sequential(*[Residual(dim) for _ in range(depth)])
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)))
