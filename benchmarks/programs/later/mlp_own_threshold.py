"""Spiral classification with a home made activation: pass what is over a threshold."""
import torch
from torch import nn


def gate(x, threshold=0.0):
    return torch.where(x > threshold, x - threshold, torch.zeros_like(x))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 70)
        self.two = nn.Linear(70, 70)
        self.three = nn.Linear(70, 70)
        self.out = nn.Linear(70, 3)
        with torch.no_grad():
            for lin in (self.one, self.two, self.three):
                lin.bias.fill_(-2.5)

    def forward(self, x):
        x = torch.cat([x, x * x], 1)
        for lin in (self.one, self.two, self.three):
            x = gate(lin(x))
        return self.out(x)


torch.manual_seed(47)
k = torch.arange(1500) % 3
r = torch.rand(1500) * 2
a = 2.5 * r + k * 2.0944
x = torch.stack([r * a.cos(), r * a.sin()], 1)
mix = torch.randperm(1500)
x, k = x[mix], k[mix]
net = Gated()
opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
for s in range(600):
    i = torch.randint(0, 1200, (75,))
    loss = nn.functional.cross_entropy(net(x[i]), k[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if s % 60 == 0:
        print(s, loss.item())
o = net(x[1200:])
print("test", nn.functional.cross_entropy(o, k[1200:]).item(), (o.argmax(1) == k[1200:]).float().mean().item())
