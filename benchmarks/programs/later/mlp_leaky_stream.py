"""A deep mixer block MLP whose stream decays: x <- 0.25 x + 0.25 f(x)."""
import argparse
import torch
from torch import nn
from sklearn.datasets import load_digits


class Mix(nn.Module):
    def __init__(self, d, keep):
        super().__init__()
        self.keep = keep
        self.f = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, d))

    def forward(self, x):
        return self.keep * x + self.keep * self.f(x)


class Deep(nn.Module):
    def __init__(self, d=48, blocks=8, keep=0.25):
        super().__init__()
        self.inp = nn.Linear(64, d)
        self.mix = nn.ModuleList(Mix(d, keep) for _ in range(blocks))
        self.out = nn.Linear(d, 10)

    def forward(self, x):
        x = self.inp(x)
        for m in self.mix:
            x = m(x)
        return self.out(x)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--keep", type=float, default=0.25)
    ap.add_argument("--steps", type=int, default=400)
    a = ap.parse_args()
    torch.manual_seed(7)
    d = load_digits()
    x, y = torch.tensor(d.data, dtype=torch.float32) / 16, torch.tensor(d.target)
    net = Deep(keep=a.keep)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-5)
    for s in range(a.steps):
        i = torch.randint(0, 1500, (50,))
        loss = nn.functional.cross_entropy(net(x[i]), y[i], label_smoothing=0.0)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 50 == 0:
            print(s, loss.item())
    with torch.no_grad():
        o = net(x[1500:])
    print("test", nn.functional.cross_entropy(o, y[1500:]).item(), (o.argmax(1) == y[1500:]).float().mean().item())


if __name__ == "__main__":
    main()
