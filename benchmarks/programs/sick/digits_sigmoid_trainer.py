"""Train a deep MLP on the digits dataset."""
import argparse
from dataclasses import dataclass, field

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    hidden: list = field(default_factory=lambda: [128] * 7)
    lr: float = 1e-2
    momentum: float = 0.9
    batch_size: int = 64
    epochs: int = 25
    seed: int = 0


def build_mlp(n_in, hidden, n_out):
    layers, prev = [], n_in
    for h in hidden:
        layers += [nn.Linear(prev, h), nn.Sigmoid()]
        prev = h
    layers.append(nn.Linear(prev, n_out))
    return nn.Sequential(*layers)


class Trainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        X, y = load_digits(return_X_y=True)
        Xtr, Xte, ytr, yte = train_test_split(X / 16.0, y, test_size=0.2, random_state=cfg.seed, stratify=y)
        as_t = lambda a: torch.tensor(a, dtype=torch.float32)
        self.train_loader = DataLoader(TensorDataset(as_t(Xtr), torch.tensor(ytr)), cfg.batch_size, shuffle=True)
        self.test_loader = DataLoader(TensorDataset(as_t(Xte), torch.tensor(yte)), 256)
        self.model = build_mlp(64, cfg.hidden, 10)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=cfg.momentum)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            total, n = 0.0, 0
            for xb, yb in self.train_loader:
                self.optimizer.zero_grad()
                loss = self.criterion(self.model(xb), yb)
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(xb)
                n += len(xb)
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1}: train loss {total / n:.4f}  test acc {self.evaluate():.3f}")

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        good = sum((self.model(x).argmax(1) == y).sum().item() for x, y in self.test_loader)
        return good / len(self.test_loader.dataset)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=1e-2)
    p.add_argument("--epochs", type=int, default=25)
    a = p.parse_args()
    t = Trainer(Config(lr=a.lr, epochs=a.epochs))
    t.fit()
    print("final accuracy", t.evaluate())
