from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    length: int = 36
    symbols: int = 5
    hidden: int = 40
    epochs: int = 6
    batch: int = 50
    lr: float = 5e-3
    seed: int = 21


class FirstSymbol(Dataset):
    """Noise with one marked symbol in the first places; say which one it was."""

    def __init__(self, n, cfg, seed):
        g = torch.Generator().manual_seed(seed)
        self.x = torch.randn(n, cfg.length, cfg.symbols, generator=g) * 0.2
        self.y = torch.randint(0, cfg.symbols, (n,), generator=g)
        self.x[torch.arange(n), torch.randint(0, 4, (n,), generator=g), self.y] += 3.0

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {"signal": self.x[i], "label": self.y[i]}


class Model(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.lstm = nn.LSTM(cfg.symbols, cfg.hidden, batch_first=True)
        self.fc = nn.Linear(cfg.hidden, cfg.symbols)
        h = cfg.hidden
        with torch.no_grad():
            self.lstm.bias_ih_l0[h:2 * h].fill_(-2.5)

    def forward(self, batch):
        _, (h, _) = self.lstm(batch["signal"])
        logits = self.fc(h[-1])
        return {"logits": logits, "loss": nn.functional.cross_entropy(logits, batch["label"])}


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        self.train_set = DataLoader(FirstSymbol(3000, cfg, 1), batch_size=cfg.batch, shuffle=True)
        self.valid_set = DataLoader(FirstSymbol(500, cfg, 2), batch_size=250)
        self.model = Model(cfg)
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=cfg.lr)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            total = 0.0
            for batch in self.train_set:
                self.optimizer.zero_grad()
                out = self.model(batch)
                out["loss"].backward()
                self.optimizer.step()
                total += out["loss"].item()
            print(f"epoch {epoch} train {total / len(self.train_set):.4f} valid acc {self.validate():.3f}")

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        hits = sum((self.model(b)["logits"].argmax(1) == b["label"]).sum().item() for b in self.valid_set)
        return hits / 500


if __name__ == "__main__":
    Trainer(Config()).fit()
