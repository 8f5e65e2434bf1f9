"""Train a 24-layer sigmoid MLP on scikit-learn's handwritten digits.

The net is 64 inputs, 24 hidden layers of 64 sigmoid units with Xavier weights, 10 classes, trained with Adam.
"""

import argparse
from itertools import pairwise

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F


class DeepMLP(nn.Module):
    def __init__(self, depth: int, width: int):
        super().__init__()
        sizes = [64] + [width] * depth
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(sizes))
        self.head = nn.Linear(width, 10)
        for layer in [*self.layers, self.head]:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return self.head(x)


def load_data(seed):
    images, labels = load_digits(return_X_y=True)
    images = images.astype("float32") / 16
    split = train_test_split(images, labels, test_size=0.2, random_state=seed, stratify=labels)
    return [torch.from_numpy(part) for part in split]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=24)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_x, test_x, train_y, test_y = load_data(args.seed)
    model = DeepMLP(args.depth, args.width)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for step in range(args.steps):
        batch = torch.randint(len(train_x), (args.batch_size,))
        loss = F.cross_entropy(model(train_x[batch]), train_y[batch])
        optimizer.zero_grad()
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
