"""Predict disease progression (in its own units) from ten measurements."""
import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.loss_fn = nn.MSELoss()

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            last = None
            for x, t in loader:
                self.opt.zero_grad()
                last = self.loss_fn(self.model(x), t)
                last.backward()
                self.opt.step()
            if epoch % 8 == 0:
                print("epoch", epoch, "mse", float(last))

    def evaluate(self, x, t):
        with torch.no_grad():
            return self.loss_fn(self.model(x), t).item()


if __name__ == "__main__":
    torch.manual_seed(8)
    d = load_diabetes()
    x = torch.tensor(d.data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    t = torch.tensor(d.target, dtype=torch.float32).unsqueeze(1)
    model = nn.Sequential(nn.Linear(10, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 1))
    trainer = Trainer(model, lr=0.02)
    trainer.fit(DataLoader(TensorDataset(x[:370], t[:370]), batch_size=37, shuffle=True), epochs=40)
    print("held-out mse", trainer.evaluate(x[370:], t[370:]), "variance", t.var().item())
