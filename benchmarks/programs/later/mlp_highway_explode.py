"""Gated residual regression on moons-like rings; no normalization anywhere."""
from dataclasses import dataclass
import torch
import torch.nn as nn


@dataclass(frozen=True)
class Conf:
    width: int = 40
    depth: int = 14
    lr: float = 1e-2
    steps: int = 300
    batch: int = 50


class Residual(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.up, self.down = nn.Linear(w, 2 * w), nn.Linear(2 * w, w)
        nn.init.kaiming_normal_(self.up.weight)
        nn.init.kaiming_normal_(self.down.weight)

    def forward(self, h):
        return h + self.down(torch.nn.functional.elu(self.up(h)))


class Rings(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed = nn.Linear(2, c.width)
        self.res = nn.ModuleList(Residual(c.width) for _ in range(c.depth))
        self.out = nn.Linear(c.width, 1)

    def forward(self, p):
        h = self.embed(p)
        for r in self.res:
            h = r(h)
        return self.out(h)[:, 0]


def main(c=Conf()):
    torch.manual_seed(55)
    p = torch.randn(1500, 2)
    v = torch.cos(1.5 * p.norm(dim=1))
    net = Rings(c)
    opt = torch.optim.SGD(net.parameters(), lr=c.lr)
    warm = torch.optim.lr_scheduler.LinearLR(opt, 0.1, 1.0, 30)
    for s in range(c.steps):
        i = torch.randint(0, 1200, (c.batch,))
        loss = nn.functional.mse_loss(net(p[i]), v[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        warm.step()
        if s % 30 == 0:
            print(s, loss.item())
    with torch.no_grad():
        print("val", nn.functional.mse_loss(net(p[1200:]), v[1200:]).item(), "variance", v.var().item())


main()
