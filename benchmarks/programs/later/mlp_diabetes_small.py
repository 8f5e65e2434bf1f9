import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_diabetes
from torch.utils.data import DataLoader, TensorDataset


class Regressor(nn.Module):
    def __init__(self, n_in, width, depth):
        super().__init__()
        self.inp = nn.Linear(n_in, width)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 1)
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, std=0.02)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = torch.tanh(self.inp(x))
        for layer in self.hidden:
            x = torch.tanh(layer(x))
        return self.out(x).squeeze(-1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.02)
    p.add_argument("--epochs", type=int, default=50)
    p.add_argument("--width", type=int, default=72)
    p.add_argument("--depth", type=int, default=6)
    args = p.parse_args()
    torch.manual_seed(3)
    data = load_diabetes()
    x = torch.tensor(data.data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    t = torch.tensor(data.target, dtype=torch.float32)
    t = (t - t.mean()) / t.std()
    tr = DataLoader(TensorDataset(x[:360], t[:360]), batch_size=30, shuffle=True)
    net = Regressor(10, args.width, args.depth)
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.8)
    for epoch in range(args.epochs):
        total = 0.0
        for xb, tb in tr:
            opt.zero_grad()
            loss = nn.functional.mse_loss(net(xb), tb)
            loss.backward()
            opt.step()
            total += loss.item() * len(xb)
        if epoch % 10 == 9:
            with torch.no_grad():
                val = nn.functional.mse_loss(net(x[360:]), t[360:]).item()
            print(f"epoch {epoch + 1}: train {total / 360:.4f} val {val:.4f}")


if __name__ == "__main__":
    main()
