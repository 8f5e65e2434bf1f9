"""Parity of signs of three inputs, narrow deep softsign network with a hand written training class."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Layer(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.W = nn.Parameter(torch.empty(i, o).uniform_(-1, 1) * 0.08)
        self.c = nn.Parameter(torch.zeros(o))

    def forward(self, x):
        return F.softsign(x @ self.W + self.c)


class Net(nn.Module):
    def __init__(self, depth=8, width=56):
        super().__init__()
        self.layers = nn.ModuleDict({f"layer{k}": Layer(6 if k == 0 else width, width) for k in range(depth)})
        self.V = nn.Parameter(torch.randn(width, 2) * 0.1)

    def forward(self, x):
        for layer in self.layers.values():
            x = layer(x)
        return x @ self.V


class Experiment:
    def __init__(self, seed=19):
        torch.manual_seed(seed)
        self.x = torch.randn(3000, 6)
        self.y = (self.x[:, 0] * self.x[:, 1] > 0).long()
        self.net = Net()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.05, momentum=0.9)

    def step(self):
        i = torch.randint(0, 2400, (100,))
        loss = F.cross_entropy(self.net(self.x[i]), self.y[i])
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def test(self):
        o = self.net(self.x[2400:])
        return F.cross_entropy(o, self.y[2400:]).item(), (o.argmax(1) == self.y[2400:]).float().mean().item()


e = Experiment()
for k in range(800):
    value = e.step()
    if k % 100 == 0:
        print(k, value)
print("test", *e.test())
