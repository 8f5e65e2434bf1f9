"""Three spirals, tanh MLP, unscaled inputs: coordinates in pixels."""
import math
import torch
from torch import nn


def spirals(n, gen):
    k = torch.randint(0, 3, (n,), generator=gen)
    r = torch.rand(n, generator=gen)
    a = r * 3.5 + k * 2 * math.pi / 3 + 0.08 * torch.randn(n, generator=gen)
    return torch.stack([r * torch.cos(a), r * torch.sin(a)], 1), k


class SpiralNet(nn.Module):
    def __init__(self, hidden=56, layers=5, std=1.5):
        super().__init__()
        self.first = nn.Linear(2, hidden)
        self.mid = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(layers)])
        self.last = nn.Linear(hidden, 3)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=std)
                nn.init.normal_(m.bias, mean=0, std=std)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        for m in self.mid:
            x = torch.tanh(m(x))
        return self.last(x)


def train(seed=13, steps=900, lr=0.01):
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed)
    X, k = spirals(1200, gen)
    Xv, kv = spirals(400, gen)
    net, ce = SpiralNet(), nn.CrossEntropyLoss()
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    for s in range(steps):
        i = torch.randperm(len(X))[:100]
        loss = ce(net(X[i]), k[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 150 == 149:
            with torch.no_grad():
                v = net(Xv)
            print(f"{s + 1}: train {loss.item():.3f} val {ce(v, kv).item():.3f} acc {(v.argmax(1) == kv).float().mean().item():.3f}")


if __name__ == "__main__":
    train()
