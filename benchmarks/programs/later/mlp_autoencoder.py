"""Bottleneck autoencoder on digits, trained with RMSprop."""
from dataclasses import dataclass, field

import torch
from sklearn.datasets import load_digits
from torch import nn


@dataclass
class Config:
    sizes: tuple = (64, 56, 48, 40, 32, 24, 16, 12)
    lr: float = 1e-3
    steps: int = 900
    batch: int = 64
    seed: int = 5


class AutoEncoder(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        enc, dec = [], []
        for a, b in zip(sizes[:-1], sizes[1:]):
            enc += [nn.Linear(a, b), nn.Sigmoid()]
        rev = sizes[::-1]
        for a, b in zip(rev[:-1], rev[1:]):
            dec += [nn.Linear(a, b), nn.Sigmoid()]
        self.encoder = nn.Sequential(*enc)
        self.decoder = nn.Sequential(*dec)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def run(cfg):
    torch.manual_seed(cfg.seed)
    x = torch.tensor(load_digits().data / 16, dtype=torch.float32)
    model = AutoEncoder(cfg.sizes)
    opt = torch.optim.RMSprop(model.parameters(), lr=cfg.lr)
    for it in range(1, cfg.steps + 1):
        batch = x[torch.randint(len(x), (cfg.batch,))]
        loss = ((model(batch) - batch) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 150 == 0:
            print(it, round(loss.item(), 5))
    with torch.no_grad():
        print("reconstruction", ((model(x) - x) ** 2).mean().item(), "variance", x.var(0).mean().item())


run(Config())
