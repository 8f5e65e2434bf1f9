import argparse

import torch
from torch import nn
from torch.nn import functional as F


class VanillaCell(nn.Module):
    def __init__(self, n_in, n_hidden, gain):
        super().__init__()
        self.u = nn.Linear(n_in, n_hidden)
        self.w = nn.Linear(n_hidden, n_hidden, bias=False)
        nn.init.orthogonal_(self.w.weight, gain=gain)

    def forward(self, x, h):
        return F.relu(self.u(x) + self.w(h))


class SequenceNet(nn.Module):
    def __init__(self, n_in, n_hidden, n_out, gain):
        super().__init__()
        self.n_hidden = n_hidden
        self.cell = VanillaCell(n_in, n_hidden, gain)
        self.out = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        h = x.new_zeros(x.size(0), self.n_hidden)
        for t in range(x.size(1)):
            h = self.cell(x[:, t], h)
        return self.out(h)


def waves(n, steps, g):
    """Four kinds of waves: the class is the frequency."""
    kind = torch.randint(0, 4, (n,), generator=g)
    freq = torch.tensor([1.0, 2.0, 3.5, 5.0])[kind]
    phase = torch.rand(n, generator=g) * 6.283
    t = torch.linspace(0, 1, steps)
    x = torch.sin(6.283 * freq[:, None] * t + phase[:, None])
    x = x + 0.1 * torch.randn(n, steps, generator=g)
    return x.unsqueeze(-1), kind


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--steps", type=int, default=300)
    ap.add_argument("--batch", type=int, default=100)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--gain", type=float, default=1.9)
    args = ap.parse_args()
    torch.manual_seed(3)
    g = torch.Generator().manual_seed(7)
    X, Y = waves(2000, 40, g)
    Xt, Yt = waves(500, 40, g)
    net = SequenceNet(1, 64, 4, args.gain)
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    for step in range(args.steps):
        idx = torch.randint(0, len(X), (args.batch,), generator=g)
        opt.zero_grad()
        loss = F.cross_entropy(net(X[idx]), Y[idx])
        loss.backward()
        opt.step()
        if step % 50 == 0 or step == args.steps - 1:
            with torch.no_grad():
                acc = (net(Xt).argmax(1) == Yt).float().mean()
            print(f"{step:4d}  loss {loss.item():.4f}  test acc {acc.item():.3f}")


if __name__ == "__main__":
    main()
