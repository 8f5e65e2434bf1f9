"""Linnerud style: features in metres, all some millimetres; a four layer network with sigmoid units, Adam with a small rate."""
from dataclasses import dataclass
import torch
from torch import nn
from sklearn.datasets import load_wine


@dataclass
class Settings:
    lr: float = 0.3
    steps: int = 600
    batch: int = 28
    units: int = 36


class Net(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(13, s.units), nn.Linear(s.units, s.units), nn.Linear(s.units, 3)])

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


def main(s=Settings()):
    torch.manual_seed(29)
    d = load_wine()
    x = torch.tensor(d.data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0) * 2e-3
    y = torch.tensor(d.target)
    p = torch.randperm(178)
    net = Net(s)
    opt = torch.optim.SGD(net.parameters(), lr=s.lr)
    for k in range(s.steps):
        i = p[:140][torch.randint(0, 140, (s.batch,))]
        loss = nn.functional.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if k % 60 == 0:
            print(k, loss.item())
    with torch.no_grad():
        o = net(x[p[140:]])
    print("test", nn.functional.cross_entropy(o, y[p[140:]]).item(), (o.argmax(1) == y[p[140:]]).float().mean().item())


main()
