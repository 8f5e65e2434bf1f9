"""One layer applied again and again (tied weights), two moons of four turns."""
import math
import torch
import torch.nn as nn


class Iterated(nn.Module):
    def __init__(self, width=50, times=12):
        super().__init__()
        self.times = times
        self.enter = nn.Linear(2, width)
        self.again = nn.Linear(width, width)
        self.leave = nn.Linear(width, 2)
        nn.init.normal_(self.again.weight, std=0.4 / math.sqrt(width))
        nn.init.zeros_(self.again.bias)

    def forward(self, x):
        x = torch.tanh(self.enter(x))
        for _ in range(self.times):
            x = torch.tanh(self.again(x))
        return self.leave(x)


torch.manual_seed(1234)
n = 1600
k = torch.randint(0, 2, (n,))
r = torch.rand(n).sqrt() * 1.5 + 0.2
a = 2.0 * r + math.pi * k
x = torch.stack([r * a.cos(), r * a.sin()], 1) + 0.03 * torch.randn(n, 2)
net = Iterated()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
for s in range(800):
    i = torch.randint(0, 1300, (64,))
    loss = nn.functional.cross_entropy(net(x[i]), k[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if s % 80 == 0:
        print(s, loss.item())
with torch.no_grad():
    o = net(x[1300:])
    print("test", nn.functional.cross_entropy(o, k[1300:]).item(), (o.argmax(1) == k[1300:]).float().mean().item())
