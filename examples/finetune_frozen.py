"""Pretrain a small CNN on the digits 0-4, freeze its trunk, and fine-tune a new head on the digits 5-9."""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F


def build_trunk():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
    )


def load_data(classes, seed):
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    labels = torch.tensor(labels)
    keep = (labels >= classes[0]) & (labels <= classes[-1])
    images, labels = images[keep], labels[keep] - classes[0]
    train, test = train_test_split(range(len(labels)), test_size=0.2, random_state=seed, stratify=labels)
    return images[train], labels[train], images[test], labels[test]


def fit(name, model, optimizer, train_x, train_y, steps, batch_size):
    for step in range(steps):
        batch = torch.randint(len(train_x), (batch_size,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"{name} step {step:4d}  loss {loss.item():.4f}")


def evaluate(name, model, test_x, test_y):
    with torch.no_grad():
        logits = model(test_x)
    accuracy = (logits.argmax(1) == test_y).float().mean().item()
    print(f"{name} test loss {F.cross_entropy(logits, test_y).item():.4f}  accuracy {accuracy:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pretrain-steps", type=int, default=150)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_x, train_y, test_x, test_y = load_data(range(5), args.seed)
    trunk = build_trunk()
    model = nn.Sequential(trunk, nn.Linear(32 * 4 * 4, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    fit("pretrain", model, optimizer, train_x, train_y, args.pretrain_steps, args.batch_size)
    evaluate("pretrain", model, test_x, test_y)

    train_x, train_y, test_x, test_y = load_data(range(5, 10), args.seed)
    trunk.requires_grad_(False)
    model = nn.Sequential(trunk, nn.Linear(32 * 4 * 4, 5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    fit("finetune", model, optimizer, train_x, train_y, args.steps, args.batch_size)
    evaluate("finetune", model, test_x, test_y)


if __name__ == "__main__":
    main()
