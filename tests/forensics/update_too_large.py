"""A learning rate so large that one update makes weights infinite."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(7, 14), nn.Tanh(), nn.Linear(14, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.001)
for step in range(40):
    x = torch.randn(16, 7)
    if step == 24:
        optimizer.param_groups[0]["lr"] = 3e38
    optimizer.zero_grad()
    nn.functional.mse_loss(net(x), x.sum(1, keepdim=True) * 100).backward()
    optimizer.step()  # guilty
