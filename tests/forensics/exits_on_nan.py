"""A training function that leaves through sys.exit when its loss is not finite."""

import math
import sys

import torch
from torch import nn

torch.manual_seed(0)


def train_one_epoch(net, optimizer, epoch):
    for step in range(20):
        x = torch.randn(8, 6)
        log_sigma = net(x) * (1 if (epoch, step) != (1, 9) else -400)
        variance = torch.exp(2 * log_sigma)
        loss = (log_sigma + 1 / variance).mean()  # guilty
        if not math.isfinite(loss.item()):
            print(f"Loss is {loss.item()}, stopping training")
            sys.exit(1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


net = nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 1), nn.Softplus())
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(3):
    train_one_epoch(net, optimizer, epoch)
