import argparse

import torch
from torch import nn
from sklearn.datasets import load_digits


def build(widths, shift):
    """The reader's head: linear and ReLU in turn."""
    parts = []
    for a, b in zip(widths[:-1], widths[1:]):
        lin = nn.Linear(a, b)
        nn.init.constant_(lin.bias, shift)
        parts += [lin, nn.ReLU()]
    return nn.Sequential(*parts)


class RowReader(nn.Module):
    """Reads a digit row by row in both directions."""

    def __init__(self, hidden=24):
        super().__init__()
        self.gru = nn.GRU(8, hidden, bidirectional=True, batch_first=True)
        self.body = build([2 * hidden, 64, 32], shift=-3.0)
        self.out = nn.Linear(32, 10)

    def forward(self, rows):
        _, h = self.gru(rows)
        return self.out(self.body(torch.cat([h[0], h[1]], 1)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    torch.manual_seed(31)
    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32) / 16
    y = torch.tensor(data.target)
    order = torch.randperm(len(x))
    train, test = order[:1300], order[1300:]
    model = RowReader()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    for step in range(args.steps):
        pick = train[torch.randint(0, len(train), (40,))]
        loss = nn.functional.cross_entropy(model(x[pick]), y[pick])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if (step + 1) % 50 == 0:
            with torch.no_grad():
                acc = (model(x[test]).argmax(1) == y[test]).float().mean()
            print(f"step {step + 1}: loss {loss.item():.4f}, test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
