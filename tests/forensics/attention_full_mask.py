"""Attention with a row that may look at nothing: a softmax over minus infinities alone."""

import math

import torch
from torch import nn

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, padding):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(padding[:, None, :], float("-inf"))
        weights = torch.softmax(scores, dim=-1)  # guilty
        return self.out(weights @ v)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.attention = Attention(16)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 2)

    def forward(self, tokens, padding):
        x = self.embed(tokens)
        x = self.norm(x + self.attention(x, padding))
        return self.head(x.mean(1))


model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(45):
    tokens, y = torch.randint(0, 20, (6, 9)), torch.randint(0, 2, (6,))
    length = torch.randint(1, 10, (6,))
    if step == 31:
        length[3] = 0
    padding = torch.arange(9) >= length[:, None]
    loss = nn.functional.cross_entropy(model(tokens, padding=padding), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
