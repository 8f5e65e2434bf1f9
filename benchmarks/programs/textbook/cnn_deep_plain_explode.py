"""A deep plain CNN (no normalization) on synthetic stripes, built from a list of widths; normal_(0, 0.2) everywhere."""
import argparse
import math
import torch
import torch.nn as nn
import torch.nn.functional as F


def stripes(n, size, gen):
    angle = torch.randint(0, 4, (n,), generator=gen)
    phase = torch.rand(n, generator=gen) * 2 * math.pi
    g = torch.arange(size).float()
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    th = angle.float() * math.pi / 4
    arg = xx[None] * torch.cos(th)[:, None, None] + yy[None] * torch.sin(th)[:, None, None]
    img = torch.sin(arg * 1.3 + phase[:, None, None]) + 0.5 * torch.randn(n, size, size, generator=gen)
    return img[:, None], angle


class PlainNet(nn.Module):
    def __init__(self, channels=(16,) * 5 + (24,) * 5, classes=4):
        super().__init__()
        convs, c = [], 1
        for i, k in enumerate(channels):
            convs.append(nn.Conv2d(c, k, 3, padding=1, stride=2 if i == 5 else 1))
            c = k
        self.convs = nn.ModuleList(convs)
        self.head = nn.Linear(c, classes)
        self.apply(self.reset)

    @staticmethod
    def reset(m):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, 0.0, 0.2)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.head(x.mean((2, 3)))


def main(args):
    torch.manual_seed(args.seed)
    gen = torch.Generator().manual_seed(args.seed)
    vx, vy = stripes(400, 14, gen)
    net = PlainNet()
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    for it in range(1, args.iters + 1):
        x, y = stripes(args.bs, 14, gen)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 50 == 0:
            print(f"iter {it} loss {loss.item():.4f}")
    with torch.no_grad():
        out = net(vx)
    print(f"val loss {F.cross_entropy(out, vy).item():.4f} acc {(out.argmax(1) == vy).float().mean().item():.3f}")


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--iters", type=int, default=300)
    ap.add_argument("--bs", type=int, default=32)
    ap.add_argument("--lr", type=float, default=0.02)
    ap.add_argument("--seed", type=int, default=7)
    main(ap.parse_args())
