"""Tiny causal character transformer with its own attention; scores are not scaled and projections are wide."""
from dataclasses import dataclass
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from pydoc_data import topics


@dataclass
class Config:
    d: int = 64
    heads: int = 4
    layers: int = 2
    ctx: int = 24
    batch: int = 24
    lr: float = 5e-4
    steps: int = 250
    qk_std: float = 2.5
    seed: int = 5


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.h = cfg.heads
        self.q = nn.Linear(cfg.d, cfg.d, bias=False)
        self.k = nn.Linear(cfg.d, cfg.d, bias=False)
        self.v = nn.Linear(cfg.d, cfg.d, bias=False)
        self.o = nn.Linear(cfg.d, cfg.d)
        nn.init.normal_(self.q.weight, std=cfg.qk_std)
        nn.init.normal_(self.k.weight, std=cfg.qk_std)
        self.register_buffer("mask", torch.tril(torch.ones(cfg.ctx, cfg.ctx)).bool())

    def forward(self, x):
        b, t, d = x.shape
        split = lambda z: z.view(b, t, self.h, d // self.h).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        att = (q @ k.transpose(-2, -1)).masked_fill(~self.mask[:t, :t], -math.inf).softmax(-1)
        return self.o((att @ v).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(cfg.d), nn.LayerNorm(cfg.d)
        self.att = Attention(cfg)
        self.mlp = nn.Sequential(nn.Linear(cfg.d, 2 * cfg.d), nn.GELU(), nn.Linear(2 * cfg.d, cfg.d))

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.mlp(self.n2(x))


class LM(nn.Module):
    def __init__(self, cfg, vocab):
        super().__init__()
        self.tok = nn.Embedding(vocab, cfg.d)
        self.pos = nn.Embedding(cfg.ctx, cfg.d)
        self.blocks = nn.ModuleList(Block(cfg) for _ in range(cfg.layers))
        self.norm = nn.LayerNorm(cfg.d)
        self.head = nn.Linear(cfg.d, vocab)

    def forward(self, idx):
        x = self.tok(idx) + self.pos(torch.arange(idx.size(1)))
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x))


if __name__ == "__main__":
    cfg = Config()
    torch.manual_seed(cfg.seed)
    # "copy the first half": sequence of random symbols, separator, the same symbols again
    V = 12
    half = cfg.ctx // 2

    def batch():
        s = torch.randint(1, V, (cfg.batch, half))
        return torch.cat([s, torch.zeros(cfg.batch, 1, dtype=torch.long), s], 1)

    model = LM(cfg, V)
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr)
    for step in range(cfg.steps):
        z = batch()
        x, y = z[:, :-1], z[:, 1:]
        logits = model(x)[:, half:]
        loss = F.cross_entropy(logits.reshape(-1, V), y[:, half:].reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0 or step == cfg.steps - 1:
            print(f"step {step} loss {loss.item():.4f} (uniform {math.log(V - 1):.3f})")
