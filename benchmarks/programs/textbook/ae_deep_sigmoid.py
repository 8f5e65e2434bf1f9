"""The deep autoencoder of the textbooks: sigmoid units 64-56-40-24-10 and back, squared error, momentum."""
import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits


def stack(sizes):
    seq = []
    for i, o in zip(sizes, sizes[1:]):
        seq.extend((nn.Linear(i, o), nn.Sigmoid()))
    return nn.Sequential(*seq)


class DeepAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [64, 56, 40, 24, 10]
        self.encode, self.decode = stack(sizes), stack(sizes[::-1])

    def forward(self, x):
        return self.decode(self.encode(x))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=40)
    ap.add_argument("--lr", type=float, default=0.5)
    a = ap.parse_args()
    torch.manual_seed(31)
    x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    loader = DataLoader(TensorDataset(x[:1600]), batch_size=80, shuffle=True)
    net = DeepAutoencoder()
    opt = torch.optim.SGD(net.parameters(), lr=a.lr, momentum=0.9)
    crit = nn.BCELoss()
    for e in range(a.epochs):
        for (b,) in loader:
            opt.zero_grad()
            loss = crit(net(b), b)
            loss.backward()
            opt.step()
        if e % 8 == 7:
            with torch.no_grad():
                r = net(x[1600:])
            print(f"epoch {e + 1}: train {loss.item():.4f} test bce {crit(r, x[1600:]).item():.4f} mse {(r - x[1600:]).square().mean().item():.4f}")


if __name__ == "__main__":
    main()
