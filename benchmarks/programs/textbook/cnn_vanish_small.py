"""Blob counter: a plain 2-d CNN, 8 conv layers of N(0, 0.02) as in DCGAN, no normalization."""
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR


@dataclass
class HP:
    seed: int = 90
    size: int = 16
    width: int = 20
    depth: int = 8
    lr: float = 1e-2
    batch: int = 48
    steps: int = 300


def scenes(n, size):
    count = torch.randint(0, 4, (n,))
    g = torch.arange(size).float()
    img = 0.1 * torch.randn(n, size, size)
    for k in range(3):
        c = 2 + torch.rand(n, 2) * (size - 4)
        d2 = (g[None, None] - c[:, :1, None]) ** 2 + (g[None, :, None] - c[:, 1:, None]) ** 2
        img += torch.exp(-d2 / 3) * (count > k)[:, None, None]
    return {"pixels": img.unsqueeze(1), "count": count}


class Counter(nn.Module):
    def __init__(self, hp):
        super().__init__()
        mods = []
        for d in range(hp.depth):
            mods.append(nn.Conv2d(1 if d == 0 else hp.width, hp.width, 3, padding=1))
            mods.append(nn.LeakyReLU(0.2))
            if d in (1, 4):
                mods.append(nn.AvgPool2d(2))
        self.trunk = nn.Sequential(*mods)
        self.classify = nn.Linear(hp.width, 4)
        for m in self.trunk:
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, 0.0, 0.02)
                nn.init.zeros_(m.bias)

    def forward(self, batch):
        return {"logits": self.classify(self.trunk(batch["pixels"]).sum((2, 3)))}


def main():
    hp = HP()
    torch.manual_seed(hp.seed)
    net = Counter(hp)
    opt = torch.optim.SGD(net.parameters(), lr=hp.lr, momentum=0.9)
    sched = MultiStepLR(opt, [200, 260], gamma=0.3)
    for step in range(hp.steps):
        b = scenes(hp.batch, hp.size)
        loss = nn.functional.cross_entropy(net(b)["logits"], b["count"])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if step % 50 == 49:
            print("step", step + 1, "loss %.4f" % loss.item())
    b = scenes(400, hp.size)
    with torch.no_grad():
        z = net(b)["logits"]
    print("eval loss %.4f acc %.3f" % (nn.functional.cross_entropy(z, b["count"]), (z.argmax(1) == b["count"]).float().mean()))


main()
