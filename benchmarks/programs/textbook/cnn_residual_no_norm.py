"""Residual blocks of my own, no normalization, on digits."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


@dataclass
class Cfg:
    channels: int = 16
    blocks: int = 12
    lr: float = 0.04
    steps: int = 250
    batch: int = 32


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.first = nn.Conv2d(c, c, 3, padding=1)
        self.second = nn.Conv2d(c, c, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.kaiming_normal_(self.second.weight)
        self.scale = 1.0

    def forward(self, x):
        return x + self.second(F.relu(self.first(F.relu(x))))


class ResNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.stem = nn.Conv2d(1, cfg.channels, 3, padding=1)
        self.blocks = nn.ModuleList([Block(cfg.channels) for _ in range(cfg.blocks)])
        self.head = nn.Linear(4 * cfg.channels, 10)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(F.adaptive_max_pool2d(x, 2).flatten(1))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.model = ResNet(cfg)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=0.9, weight_decay=1e-4)

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, x, y):
        for i in range(self.cfg.steps):
            idx = torch.randint(0, len(x), (self.cfg.batch,))
            loss = self.step(x[idx], y[idx])
            if i % 50 == 0:
                print("step", i, "loss", loss)


if __name__ == "__main__":
    torch.manual_seed(40)
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    y = torch.tensor(d.target)
    t = Trainer(Cfg())
    t.run(x, y)
    with torch.no_grad():
        out = t.model(x)
        print("final loss", F.cross_entropy(out, y).item(), "accuracy", (out.argmax(1) == y).float().mean().item())
