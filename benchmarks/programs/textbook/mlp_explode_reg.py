"""Regression of the diabetes progression score with a tanh-free deep net built in a loop."""
from dataclasses import dataclass
import torch
from torch import nn
from sklearn.datasets import load_diabetes


@dataclass
class Config:
    depth: int = 12
    width: int = 100
    gain: float = 2.4
    lr: float = 1e-2
    steps: int = 500
    batch: int = 64
    seed: int = 5


class Regressor(nn.Module):
    def __init__(self, cfg, d_in):
        super().__init__()
        dims = [d_in] + [cfg.width] * cfg.depth
        self.blocks = nn.ModuleList()
        for a, b in zip(dims[:-1], dims[1:]):
            lin = nn.Linear(a, b)
            nn.init.normal_(lin.weight, std=cfg.gain / a ** 0.5)
            nn.init.zeros_(lin.bias)
            self.blocks.append(nn.Sequential(lin, nn.LeakyReLU(0.1)))
        self.out = nn.Linear(cfg.width, 1)

    def forward(self, x):
        for b in self.blocks:
            x = b(x)
        return self.out(x).squeeze(-1)


def run(cfg):
    torch.manual_seed(cfg.seed)
    X, y = load_diabetes(return_X_y=True)
    X = torch.tensor(X, dtype=torch.float32)
    y = torch.tensor(y, dtype=torch.float32)
    X = (X - X.mean(0)) / X.std(0)
    y = (y - y.mean()) / y.std()
    net = Regressor(cfg, X.shape[1])
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9)
    for step in range(cfg.steps):
        i = torch.randint(0, 340, (cfg.batch,))
        loss = nn.functional.mse_loss(net(X[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(step, loss.item())
    with torch.no_grad():
        print("train mse", nn.functional.mse_loss(net(X[:340]), y[:340]).item(),
              "test mse", nn.functional.mse_loss(net(X[340:]), y[340:]).item())


run(Config())
