"""Two spirals, RMSprop, far too eager."""
import math

import torch
import torch.nn as nn

torch.manual_seed(8)


def spirals(n):
    t = torch.rand(n) * 2.5 * math.pi + 0.4
    label = torch.randint(0, 2, (n,))
    sign = 1 - 2 * label.float()
    pts = torch.stack([sign * t * torch.cos(t), sign * t * torch.sin(t)], 1) / 4
    return pts + 0.03 * torch.randn(n, 2), label


class Spiral(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 64)
        self.b = nn.Linear(64, 64)
        self.c = nn.Linear(64, 64)
        self.d = nn.Linear(64, 64)
        self.e = nn.Linear(64, 2)

    def forward(self, x):
        x = self.a(x).relu()
        x = self.b(x).relu()
        x = self.c(x).relu()
        x = self.d(x).relu()
        return self.e(x)


net = Spiral()
opt = torch.optim.RMSprop(net.parameters(), lr=1.5)
loss_fn = nn.CrossEntropyLoss()
for step in range(900):
    x, y = spirals(128)
    loss = loss_fn(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(f"{step:4d} {loss.item():.4f}")
with torch.no_grad():
    x, y = spirals(2000)
    print("final loss", loss_fn(net(x), y).item(), "accuracy", (net(x).argmax(1) == y).float().mean().item())
