"""Train a recurrent network on the adding problem: of 100 numbers two are marked, and their sum is asked for.

Answering one every time gives a mean squared error of 1/6 (Hochreiter & Schmidhuber 1997).
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--layer", choices=("RNN", "LSTM", "GRU"), default="RNN")
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--length", type=int, default=100)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--clip", type=float, default=1.0)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--steps", type=int, default=2000)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)


def draw(count):
    numbers = torch.rand(count, args.length)
    marks = torch.zeros(count, args.length)
    half = args.length // 2
    first, second = torch.randint(half, (count,)), half + torch.randint(half, (count,))
    marks[torch.arange(count), first] = 1
    marks[torch.arange(count), second] = 1
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(1)


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.recurrent = getattr(nn, args.layer)(2, args.hidden, batch_first=True)
        self.head = nn.Linear(args.hidden, 1)

    def forward(self, x):
        states, _ = self.recurrent(x)
        return self.head(states[:, -1]).squeeze(1)


model = Adder()
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)

for step in range(1, args.steps + 1):
    x, target = draw(args.batch_size)
    loss = F.mse_loss(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    optimizer.step()
    if step % (args.steps // 10) == 0:
        print(f"step {step}  loss {loss.item():.4f}", flush=True)

x, target = draw(1000)
with torch.no_grad():
    error = F.mse_loss(model(x), target)
print(f"test error {error:.4f}")
