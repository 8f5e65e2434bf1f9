"""A little GPT whose attention forgets the 1/sqrt(d) and whose projections are N(0,1)."""
from dataclasses import dataclass
import torch, torch.nn as nn, torch.nn.functional as F
from pydoc_data.topics import topics
@dataclass
class Config:
    dim: int = 64
    layers: int = 3
    block: int = 48
    lr: float = 3e-4
    steps: int = 300
cfg = Config(); torch.manual_seed(1)
text = "".join(topics.values())[:60000]; chars = sorted(set(text)); ix = {c: i for i, c in enumerate(chars)}
data = torch.tensor([ix[c] for c in text])
class Attn(nn.Module):
    def __init__(self, d):
        super().__init__(); self.q = nn.Linear(d, d); self.k = nn.Linear(d, d); self.v = nn.Linear(d, d); self.o = nn.Linear(d, d)
        for m in (self.q, self.k): nn.init.normal_(m.weight, std=1.0)
    def forward(self, x):
        T = x.shape[1]; s = self.q(x) @ self.k(x).transpose(1, 2)
        s = s.masked_fill(torch.triu(torch.ones(T, T, dtype=torch.bool), 1), float("-inf"))
        return self.o(s.softmax(-1) @ self.v(x))
class Block(nn.Module):
    def __init__(self, d):
        super().__init__(); self.n1 = nn.LayerNorm(d); self.a = Attn(d); self.n2 = nn.LayerNorm(d); self.f = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
    def forward(self, x):
        x = x + self.a(self.n1(x)); return x + self.f(self.n2(x))
class GPT(nn.Module):
    def __init__(self, c, v):
        super().__init__(); self.te = nn.Embedding(v, c.dim); self.pe = nn.Embedding(c.block, c.dim); self.b = nn.ModuleList(Block(c.dim) for _ in range(c.layers)); self.n = nn.LayerNorm(c.dim); self.h = nn.Linear(c.dim, v)
    def forward(self, i):
        x = self.te(i) + self.pe(torch.arange(i.shape[1]))
        for b in self.b: x = b(x)
        return self.h(self.n(x))
m = GPT(cfg, len(chars)); opt = torch.optim.AdamW(m.parameters(), lr=cfg.lr)
for step in range(cfg.steps):
    p = torch.randint(0, len(data) - cfg.block - 1, (16,)); x = torch.stack([data[i:i + cfg.block] for i in p]); y = torch.stack([data[i + 1:i + cfg.block + 1] for i in p])
    loss = F.cross_entropy(m(x).flatten(0, 1), y.flatten()); opt.zero_grad(); loss.backward(); opt.step()
    if step % 50 == 0: print(step, loss.item())
