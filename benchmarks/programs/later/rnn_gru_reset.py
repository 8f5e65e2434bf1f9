"""Delayed recall with a GRU whose update gate starts closed the wrong way (z near 0: the state is overwritten)."""
import argparse

import torch
from torch import nn
from torch.nn import functional as F


def batch(n, length, symbols):
    key = torch.randint(0, symbols, (n,))
    x = torch.randint(0, symbols, (n, length))
    x[:, 0] = key
    return x, key


class Recaller(nn.Module):
    def __init__(self, symbols, hidden):
        super().__init__()
        self.embed = nn.Embedding(symbols, 16)
        self.gru = nn.GRU(16, hidden, batch_first=True)
        self.decode = nn.Linear(hidden, symbols)
        with torch.no_grad():
            self.gru.bias_ih_l0[hidden : 2 * hidden].fill_(-5.0)

    def forward(self, tokens):
        _, h = self.gru(self.embed(tokens))
        return self.decode(h.squeeze(0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--length", type=int, default=30)
    parser.add_argument("--steps", type=int, default=350)
    args = parser.parse_args()
    torch.manual_seed(102)
    net = Recaller(5, 48)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(args.steps):
        x, y = batch(64, args.length, 5)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"{step:4d} {loss.item():.4f}")
