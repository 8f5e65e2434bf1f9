"""Float16 network whose per-example loss is divided by a large constant, momentum SGD."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler


class HalfNet(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for k, fc in enumerate(self.fcs):
            x = fc(x)
            if k + 1 < len(self.fcs):
                x = F.elu(x)
        return x


class Run:
    weight = 2e-6

    def __init__(self):
        torch.manual_seed(44)
        d = load_wine()
        order = torch.randperm(len(d.target))
        self.x = torch.tensor(StandardScaler().fit_transform(d.data))[order].half()
        self.y = torch.tensor(d.target)[order]
        self.net = HalfNet([13, 50, 50, 30, 3]).half()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=0.05 / self.weight, momentum=0.9)

    def __call__(self, steps=300):
        for s in range(steps):
            i = torch.randint(0, 130, (26,))
            ce = F.cross_entropy(self.net(self.x[i]), self.y[i])
            self.opt.zero_grad()
            (ce * self.weight).backward()
            self.opt.step()
            if s % 30 == 0:
                print(s, ce.item())
        with torch.no_grad():
            o = self.net(self.x[130:]).float()
            print("test", F.cross_entropy(o, self.y[130:]).item(), (o.argmax(1) == self.y[130:]).float().mean().item())


Run()()
