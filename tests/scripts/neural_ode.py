"""A neural ODE integrated by Euler's method: the same small network again and again, fitted to a spiral."""

import argparse
from itertools import pairwise

import torch
import torch.nn as nn

parser = argparse.ArgumentParser("ODE demo")
parser.add_argument("--data_size", type=int, default=100)
parser.add_argument("--batch_time", type=int, default=10)
parser.add_argument("--batch_size", type=int, default=32)
parser.add_argument("--niters", type=int, default=150)
parser.add_argument("--gain", type=float, default=0.1)
args = parser.parse_args()
torch.manual_seed(0)

true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
t = torch.linspace(0.0, 4.0, args.data_size)


def odeint(func, y0, t):
    ys = [y0]
    for t0, t1 in pairwise(t):
        ys.append(ys[-1] + (t1 - t0) * func(t0, ys[-1]))
    return torch.stack(ys)


class Lambda(nn.Module):
    def forward(self, t, y):
        return torch.mm(y**3, true_A)


class ODEFunc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 50), nn.Tanh(), nn.Linear(50, 2))
        for m in self.net.modules():
            if isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, mean=0, std=args.gain)
                nn.init.constant_(m.bias, val=0)

    def forward(self, t, y):
        return self.net(y**3)


with torch.no_grad():
    true_y = odeint(Lambda(), torch.tensor([[1.2, 0.0]]), t)


def get_batch():
    s = torch.randint(args.data_size - args.batch_time, (args.batch_size,))
    return true_y[s], t[: args.batch_time], torch.stack([true_y[s + i] for i in range(args.batch_time)])


if __name__ == "__main__":
    func = ODEFunc()
    optimizer = torch.optim.RMSprop(func.parameters(), lr=3e-3)
    for itr in range(1, args.niters + 1):
        optimizer.zero_grad()
        batch_y0, batch_t, batch_y = get_batch()
        pred_y = odeint(func, batch_y0, batch_t)
        loss = torch.mean(torch.abs(pred_y - batch_y))
        loss.backward()
        optimizer.step()
        if itr % 50 == 0:
            print(f"Iter {itr:04d} | Total Loss {loss.item():.6f}")
    print("final", loss.item())
