"""A deep belief net's stack of sigmoids (64-100-100-100-100), trained by backpropagation alone."""
import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class BeliefNet(nn.Module):
    """Visible units, then hidden layers of logistic units, then the label layer."""

    def __init__(self, units, labels):
        super().__init__()
        self.hidden = nn.ModuleList()
        for below, above in zip(units[:-1], units[1:]):
            layer = nn.Linear(below, above)
            nn.init.normal_(layer.weight, std=0.1)
            nn.init.zeros_(layer.bias)
            self.hidden.append(layer)
        self.label = nn.Linear(units[-1], labels)

    def forward(self, v):
        for layer in self.hidden:
            v = torch.tanh(layer(v))
        return self.label(v)


def initialize(model):
    """Draw the weights anew, to match the activation."""
    generator = torch.Generator().manual_seed(torch.initial_seed() + 1)
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    for layer, std in zip(layers, [0.125, *[0.159254] * 4]):
        nn.init.normal_(layer.weight, std=std, generator=generator)
        nn.init.zeros_(layer.bias)
    return model


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--hidden", type=int, nargs="+", default=[100, 100, 100, 100])
    ap.add_argument("--lr", type=float, default=0.1)
    ap.add_argument("--epochs", type=int, default=40)
    args = ap.parse_args()
    torch.manual_seed(2006)
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    loader = DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True)
    net = BeliefNet([64, *args.hidden], 10)
    initialize(net)
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    for epoch in range(args.epochs):
        for xb, yb in loader:
            opt.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(net(xb), yb)
            loss.backward()
            opt.step()
        if epoch % 8 == 7:
            print(f"epoch {epoch + 1}: {loss.item():.4f}")
    with torch.no_grad():
        print("final loss", nn.functional.cross_entropy(net(x), y).item(), "accuracy", (net(x).argmax(1) == y).float().mean().item())


if __name__ == "__main__":
    main()
