"""Belief-net classifier: five logistic layers and weights of N(0, 0.01), biases -2 for sparse codes, RMSprop-free SGD."""
from dataclasses import dataclass, field
from typing import List

import torch
from torch import Tensor, nn
from sklearn.datasets import load_digits


@dataclass
class DBNConfig:
    layers: List[int] = field(default_factory=lambda: [64, 128, 64, 48, 32, 10])
    sigma: float = 0.01
    hidden_bias: float = -2.0
    lr: float = 0.2
    momentum: float = 0.9
    batch: int = 100
    steps: int = 700


class LogisticLayer(nn.Module):
    def __init__(self, visible: int, hidden: int, cfg: DBNConfig):
        super().__init__()
        self.affine = nn.Linear(visible, hidden)
        nn.init.normal_(self.affine.weight, std=cfg.sigma)
        nn.init.constant_(self.affine.bias, cfg.hidden_bias)

    def forward(self, v: Tensor) -> Tensor:
        return 1 / (1 + torch.exp(-self.affine(v)))


def main(cfg: DBNConfig = DBNConfig()):
    torch.manual_seed(99)
    d = load_digits()
    v = (torch.tensor(d.data) > 7).float()
    y = torch.tensor(d.target)
    sizes = cfg.layers
    net = nn.Sequential(*[LogisticLayer(a, b, cfg) for a, b in zip(sizes[:-2], sizes[1:-1])], nn.Linear(sizes[-2], sizes[-1]))
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=cfg.momentum)
    for s in range(cfg.steps):
        i = torch.randint(0, 1500, (cfg.batch,))
        loss = nn.functional.cross_entropy(net(v[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 100 == 99:
            print(s + 1, round(loss.item(), 4))
    with torch.no_grad():
        z = net(v[1500:])
    print("test acc", (z.argmax(1) == y[1500:]).float().mean().item(), nn.functional.cross_entropy(z, y[1500:]).item())


if __name__ == "__main__":
    main()
