"""Own residual MLP without norm: 40 blocks of h + W2 relu(W1 h), all He, on moons-like rings."""
import math
import torch
import torch.nn.functional as F
from torch import nn


class ResidualMLP(nn.Module):
    def __init__(self, d=3, width=44, blocks=40, classes=3):
        super().__init__()
        self.embed = nn.Parameter(torch.empty(width, d))
        self.w1 = nn.ParameterList(nn.Parameter(torch.empty(width, width)) for _ in range(blocks))
        self.w2 = nn.ParameterList(nn.Parameter(torch.empty(width, width)) for _ in range(blocks))
        self.readout = nn.Linear(width, classes)
        for p in [self.embed, *self.w1, *self.w2]:
            nn.init.kaiming_normal_(p)

    def forward(self, x):
        h = F.linear(x, self.embed)
        for a, b in zip(self.w1, self.w2):
            h = h + F.linear(F.relu(F.linear(h, a)), b)
        return self.readout(h)


def rings(n):
    k = torch.randint(0, 3, (n,))
    r = 0.5 + k + 0.12 * torch.randn(n)
    a = torch.rand(n) * 2 * math.pi
    return torch.stack([r * a.cos(), r * a.sin(), torch.ones(n)], 1), k


torch.manual_seed(71)
net = ResidualMLP()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 10))
for step in range(400):
    x, k = rings(64)
    loss = F.cross_entropy(net(x), k)
    opt.zero_grad()
    loss.backward()
    opt.step()
    warm.step()
    if step % 25 == 0:
        print(step, f"{loss.item():.4g}")
x, k = rings(600)
with torch.no_grad():
    z = net(x)
print("acc", (z.argmax(1) == k).float().mean().item(), "loss", F.cross_entropy(z, k).item())
