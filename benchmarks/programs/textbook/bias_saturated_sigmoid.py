"""An autoencoder of sigmoids whose biases start at +8: every unit is on for every input."""
import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn


def build(sizes, bias):
    layers = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        fc = nn.Linear(a, b)
        nn.init.constant_(fc.bias, bias)
        layers += [fc, nn.Sigmoid()]
    layers[-2].bias.data.zero_()
    return nn.Sequential(*layers[:-1])


p = argparse.ArgumentParser()
p.add_argument("--bias", type=float, default=8.0)
p.add_argument("--steps", type=int, default=900)
a = p.parse_args()
torch.manual_seed(22)
x = torch.tensor(load_digits().data / 16, dtype=torch.float32)
net = build([64, 48, 20, 48, 64], a.bias)
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for step in range(a.steps):
    b = x[torch.randint(0, len(x), (60,))]
    loss = nn.functional.mse_loss(net(b), b)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(net(x), x).item(), "constant", x.var(0).mean().item())
