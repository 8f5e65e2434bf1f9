"""A tanh autoencoder of digits; config in a dataclass."""
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import nn


@dataclass
class Config:
    sizes: tuple = (64, 80, 48, 24, 12)
    init_std: float = 0.01
    lr: float = 0.05
    momentum: float = 0.9
    batch: int = 50
    steps: int = 800
    seed: int = 11


class Autoencoder(nn.Module):
    def __init__(self, sizes, std):
        super().__init__()
        both = list(sizes) + list(sizes[-2::-1])
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(both[:-1], both[1:]))
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


def main(cfg):
    torch.manual_seed(cfg.seed)
    data = torch.tensor(load_digits().data, dtype=torch.float32)
    data = (data - data.mean(0)) / (data.std(0) + 0.1)
    net = Autoencoder(cfg.sizes, cfg.init_std)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    mse = nn.MSELoss()
    for step in range(1, cfg.steps + 1):
        batch = data[torch.randint(len(data), (cfg.batch,))]
        opt.zero_grad()
        loss = mse(net(batch), batch)
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(f"step {step}: reconstruction {loss.item():.4f}")
    with torch.no_grad():
        print("final loss", mse(net(data), data).item(), "constant", data.var(0, unbiased=False).mean().item())


if __name__ == "__main__":
    main(Config())
