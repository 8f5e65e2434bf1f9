"""Train a 30-layer tanh MLP on scikit-learn's handwritten digits, weights drawn from a normal with s.d. 0.4.

Hidden layers have 100 tanh units; plain SGD.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


class TanhNet(nn.Module):
    def __init__(self, depth=30, width=100, weight_std=0.4):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(64 if i == 0 else width, width) for i in range(depth)])
        self.classifier = nn.Linear(width, 10)
        for layer in self.hidden:
            nn.init.normal_(layer.weight, std=weight_std)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).tanh()
        return self.classifier(x)


def load_data(seed):
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32)
    labels = torch.tensor(labels)
    train, test = train_test_split(range(len(labels)), test_size=0.2, random_state=seed, stratify=labels)
    return images[train], labels[train], images[test], labels[test]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--weight-std", type=float, default=0.4)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_x, train_y, test_x, test_y = load_data(args.seed)
    model = TanhNet(depth=args.depth, weight_std=args.weight_std)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)

    for step in range(args.steps):
        batch = torch.randint(len(train_x), (args.batch_size,))
        optimizer.zero_grad()
        loss = criterion(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == args.steps - 1:
            print(f"step {step:4d}  loss {loss.item():.4f}")

    with torch.no_grad():
        logits = model(test_x)
    accuracy = (logits.argmax(1) == test_y).float().mean().item()
    print(f"test loss {criterion(logits, test_y).item():.4f}  accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
