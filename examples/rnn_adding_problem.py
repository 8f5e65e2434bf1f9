"""Train a tanh RNN on the adding problem over 100 time steps.

Each step of a sequence has a number in [0, 1] and a marker; two steps are marked, and the target is the sum
of their two numbers (Hochreiter & Schmidhuber 1997). Always answering 1 gives a mean squared error of 0.167.
"""

import argparse

import torch
from torch import nn


class Adder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, x):
        states, _ = self.rnn(x)
        return self.readout(states[:, -1]).squeeze(-1)


def make_batch(size, length):
    numbers = torch.rand(size, length)
    first = torch.randint(0, length // 2, (size,))
    second = torch.randint(length // 2, length, (size,))
    markers = torch.zeros(size, length)
    rows = torch.arange(size)
    markers[rows, first] = 1
    markers[rows, second] = 1
    return torch.stack([numbers, markers], dim=-1), (numbers * markers).sum(dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    model = Adder(args.hidden)
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

    for step in range(args.steps):
        x, y = make_batch(args.batch_size, args.length)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == args.steps - 1:
            print(f"step {step:4d}  loss {loss.item():.4f}")

    with torch.no_grad():
        x, y = make_batch(2000, args.length)
        prediction = model(x)
    accuracy = ((prediction - y).abs() < 0.04).float().mean().item()
    print(f"test loss {criterion(prediction, y).item():.4f}  accuracy (error below 0.04) {accuracy:.3f}")


if __name__ == "__main__":
    main()
