"""A GPT on text at a learning rate of 0.05 with AdamW: it never gets anywhere."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from pydoc_data.topics import topics


@dataclass
class Config:
    vocab: int
    block: int = 32
    width: int = 48
    heads: int = 4
    layers: int = 3
    lr: float = 5e-2
    steps: int = 250


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1 = nn.LayerNorm(c.width)
        self.norm2 = nn.LayerNorm(c.width)
        self.attend = nn.MultiheadAttention(c.width, c.heads, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(c.width, 4 * c.width), nn.ReLU(), nn.Linear(4 * c.width, c.width))

    def forward(self, x, mask):
        h = self.norm1(x)
        x = x + self.attend(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.feed(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.tokens = nn.Embedding(c.vocab, c.width)
        self.places = nn.Embedding(c.block, c.width)
        self.layers = nn.ModuleList([Layer(c) for _ in range(c.layers)])
        self.norm = nn.LayerNorm(c.width)
        self.head = nn.Linear(c.width, c.vocab)
        self.register_buffer("mask", torch.triu(torch.ones(c.block, c.block, dtype=torch.bool), 1))

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x, self.mask)
        logits = self.head(self.norm(x))
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    torch.manual_seed(112)
    text = topics["if"] + topics["class"] + topics["function"] + topics["import"]
    chars = sorted(set(text))
    data = torch.tensor([chars.index(ch) for ch in text])
    c = Config(len(chars))
    model = GPT(c)
    opt = torch.optim.AdamW(model.parameters(), lr=c.lr)
    for step in range(c.steps):
        at = torch.randint(0, len(data) - c.block - 1, (16,)).tolist()
        x = torch.stack([data[a : a + c.block] for a in at])
        y = torch.stack([data[a + 1 : a + c.block + 1] for a in at])
        _, loss = model(x, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(step, loss.item())


main()
