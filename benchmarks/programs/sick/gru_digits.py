# Reading sklearn digits row by row with a GRU
from dataclasses import dataclass

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    hidden: int = 128
    layers: int = 2
    epochs: int = 20
    batch_size: int = 64
    lr: float = 1e-3
    seed: int = 42


class RowGRU(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.gru = nn.GRU(8, cfg.hidden, num_layers=cfg.layers, batch_first=True)
        self.fc = nn.Linear(cfg.hidden, 10)

    def forward(self, x):
        _, h = self.gru(x)
        return self.fc(h[-1])


def weights_init(m):
    for p in m.parameters():
        nn.init.normal_(p, 0.0, 1.0)


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        X, y = load_digits(return_X_y=True)
        X = X.reshape(-1, 8, 8)
        Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.25, random_state=0)
        self.train_dl = DataLoader(
            TensorDataset(torch.tensor(Xa, dtype=torch.float32), torch.tensor(ya)), cfg.batch_size, shuffle=True
        )
        self.val = (torch.tensor(Xb, dtype=torch.float32), torch.tensor(yb))
        self.model = RowGRU(cfg)
        self.model.apply(weights_init)
        self.opt = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=0.9)
        self.loss_fn = nn.CrossEntropyLoss()

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            total, n = 0.0, 0
            for xb, yb in self.train_dl:
                self.opt.zero_grad()
                loss = self.loss_fn(self.model(xb), yb)
                loss.backward()
                self.opt.step()
                total += loss.item() * len(xb)
                n += len(xb)
            if epoch % 4 == 3:
                print(f"epoch {epoch + 1} train {total / n:.3f} val acc {self.accuracy():.3f}")

    @torch.no_grad()
    def accuracy(self):
        self.model.eval()
        return (self.model(self.val[0]).argmax(1) == self.val[1]).float().mean().item()


if __name__ == "__main__":
    t = Trainer(Config())
    t.fit()
    print("final accuracy", t.accuracy())
