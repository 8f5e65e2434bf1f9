"""Own attention: the value bound to the asked key must be found."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.k = nn.Linear(dim, dim, bias=False)
        self.v = nn.Linear(dim, dim, bias=False)
        self.o = nn.Linear(dim, dim)
        for m in (self.q, self.k):
            nn.init.normal_(m.weight, std=0.1)

    def forward(self, x):
        b, t, d = x.shape
        split = lambda z: z.view(b, t, self.heads, d // self.heads).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        w = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // self.heads), -1)
        return self.o((w @ v).transpose(1, 2).reshape(b, t, d))

class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads)
        self.up, self.down = nn.Linear(dim, 3 * dim), nn.Linear(3 * dim, dim)

    def forward(self, x):
        x = x + self.attn(self.n1(x))
        return x + self.down(F.gelu(self.up(self.n2(x))))

class Lookup(nn.Module):
    def __init__(self, keys=8, values=8, dim=48):
        super().__init__()
        self.key, self.val = nn.Embedding(keys, dim), nn.Embedding(values + 1, dim)
        self.blocks = nn.ModuleList([Block(dim, 3) for _ in range(2)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, values)

    def forward(self, k, v):
        x = self.key(k) + self.val(v)
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x[:, -1]))

def sample(n):
    k = torch.stack([torch.randperm(8) for _ in range(n)])
    v = torch.randint(0, 8, (n, 8))
    ask = torch.randint(0, 8, (n,))
    hit = (k == ask[:, None]).float().argmax(1)
    y = v[torch.arange(n), hit]
    return torch.cat([k, ask[:, None]], 1), torch.cat([v, torch.full((n, 1), 8)], 1), y

torch.manual_seed(1234)
net = Lookup()
opt = torch.optim.AdamW(net.parameters(), lr=7e-4, weight_decay=0.01)
for step in range(500):
    k, v, y = sample(64)
    loss = F.cross_entropy(net(k, v), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 70 == 0:
        print(step, f"{loss.item():.4f}")
with torch.no_grad():
    k, v, y = sample(512)
    print("final loss", loss.item(), "accuracy", (net(k, v).argmax(1) == y).float().mean().item())
