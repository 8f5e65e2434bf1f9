"""Residual 1-d conv network that tells chirps from tones."""
import math
import torch
from torch import nn
import torch.nn.functional as F


def signals(n, length=64):
    t = torch.linspace(0, 1, length)
    f = torch.rand(n, 1) * 6 + 3
    phase = torch.rand(n, 1) * 2 * math.pi
    kind = torch.randint(0, 3, (n,))
    rate = (kind - 1).float().unsqueeze(1) * 4
    return (torch.sin(2 * math.pi * (f * t + rate * t * t) + phase) + 0.1 * torch.randn(n, length)).unsqueeze(1), kind


class Block(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.c1 = nn.Conv1d(ch, ch, 5, padding=2)
        self.c2 = nn.Conv1d(ch, ch, 5, padding=2)
        for c in (self.c1, self.c2):
            nn.init.kaiming_normal_(c.weight, nonlinearity="relu")

    def forward(self, x):
        return F.relu(x + self.c2(F.relu(self.c1(x))))


class ResNet1d(nn.Module):
    def __init__(self, ch=16, blocks=8):
        super().__init__()
        self.stem = nn.Conv1d(1, ch, 7, stride=2, padding=3)
        self.blocks = nn.Sequential(*[Block(ch) for _ in range(blocks)])
        self.head = nn.Linear(ch, 3)

    def forward(self, x):
        return self.head(self.blocks(F.relu(self.stem(x))).mean(-1))


def main():
    torch.manual_seed(6)
    x, y = signals(1200)
    net = ResNet1d()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for step in range(240):
        i = torch.randint(0, 1000, (32,))
        loss = F.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 30 == 0:
            print("step", step, "loss", loss.item())
    net.eval()
    with torch.no_grad():
        out = net(x[1000:])
    print("val loss", F.cross_entropy(out, y[1000:]).item(), "val acc", (out.argmax(1) == y[1000:]).float().mean().item())


main()
