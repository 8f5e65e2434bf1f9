"""The adding problem for a recurrent network: remember two marked numbers over many time steps."""

import argparse

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, cell, hidden_size, forget_bias):
        super().__init__()
        self.rnn = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](2, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)
        if cell == "lstm" and forget_bias:
            self.rnn.bias_ih_l0.data[hidden_size : 2 * hidden_size] = forget_bias
            self.rnn.bias_hh_l0.data[hidden_size : 2 * hidden_size] = 0

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])


def batch(n, length):
    """Numbers and two marks, one in the first tenth and one in the first half."""
    x = torch.zeros(n, length, 2)
    x[:, :, 0] = torch.rand(n, length)
    rows = torch.arange(n)
    first = torch.randint(length // 10, (n,))
    second = length // 10 + torch.randint(length // 2 - length // 10, (n,))
    x[rows, first, 1] = x[rows, second, 1] = 1
    return x, (x[rows, first, 0] + x[rows, second, 0])[:, None]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--forget-bias", type=float, default=3.0)
    args = parser.parse_args()
    torch.manual_seed(1)
    model = Model(args.cell, 48, args.forget_bias)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for step in range(args.steps):
        x, y = batch(64, args.length)
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"step {step} mse {loss.item():.4f}")
    print("final", sum(losses[-20:]) / 20)


if __name__ == "__main__":
    main()
