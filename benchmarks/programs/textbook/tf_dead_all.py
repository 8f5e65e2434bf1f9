"""Causal transformer over a Markov chain, feed-forward ReLUs dead from the start and embeddings tiny, no attention residual."""
import torch
from torch import nn
torch.manual_seed(3)
class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.att = nn.MultiheadAttention(d, 2, batch_first=True)
        self.a, self.b = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        nn.init.constant_(self.a.bias, -5.0)
    def forward(self, x, mask):
        x = self.att(x, x, x, attn_mask=mask, need_weights=False)[0]
        return self.b(torch.relu(self.a(x)))
class M(nn.Module):
    def __init__(self, d=32, v=12, t=16):
        super().__init__()
        self.e, self.p = nn.Embedding(v, d), nn.Embedding(t, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(2))
        self.o = nn.Linear(d, v)
        self.register_buffer("mask", torch.full((t, t), float("-inf")).triu(1))
    def forward(self, x):
        h = self.e(x) + self.p.weight
        for b in self.blocks:
            h = b(h, self.mask)
        return self.o(h)
P = torch.softmax(3 * torch.randn(12, 12), 1)
def chain(n):
    x = [torch.randint(0, 12, (n,))]
    for _ in range(16):
        x.append(torch.multinomial(P[x[-1]], 1).squeeze(1))
    return torch.stack(x, 1)
m = M()
opt = torch.optim.AdamW(m.parameters(), lr=2e-3)
for i in range(400):
    c = chain(32)
    loss = nn.functional.cross_entropy(m(c[:, :-1]).flatten(0, 1), c[:, 1:].flatten())
    opt.zero_grad(); loss.backward(); opt.step()
    if i % 40 == 0: print(i, loss.item())
print("final", loss.item())
