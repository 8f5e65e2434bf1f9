"""Train a 50-layer MLP with BatchNorm on scikit-learn's handwritten digits.

Every hidden layer is Linear, BatchNorm, ReLU with 64 units and no skip connections; SGD with momentum.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F


class BatchNormMLP(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        sizes = [64] + [width] * depth
        self.linears = nn.ModuleList([nn.Linear(sizes[i], sizes[i + 1], bias=False) for i in range(depth)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(depth)])
        self.head = nn.Linear(width, 10)
        for linear in self.linears:
            nn.init.kaiming_normal_(linear.weight)

    def forward(self, x):
        for linear, norm in zip(self.linears, self.norms, strict=True):
            x = F.relu(norm(linear(x)))
        return self.head(x)


def load_data(seed):
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    labels = torch.tensor(labels)
    train, test = train_test_split(range(len(labels)), test_size=0.2, random_state=seed, stratify=labels)
    return images[train], labels[train], images[test], labels[test]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=50)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_x, train_y, test_x, test_y = load_data(args.seed)
    model = BatchNormMLP(args.depth, args.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

    for step in range(args.steps):
        batch = torch.randint(len(train_x), (args.batch_size,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == args.steps - 1:
            print(f"step {step:4d}  loss {loss.item():.4f}")

    model.eval()
    with torch.no_grad():
        logits = model(test_x)
    accuracy = (logits.argmax(1) == test_y).float().mean().item()
    print(f"test loss {F.cross_entropy(logits, test_y).item():.4f}  accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
