"""A logarithm that leaves its domain inside the closure of L-BFGS."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 1)
optimizer = torch.optim.LBFGS(net.parameters(), lr=0.01, max_iter=4)
x = torch.randn(30, 3)
y = torch.rand(30, 1) + 0.5
for step in range(30):
    offset = 9.0 if step < 22 else -50.0

    def closure(offset=offset):
        optimizer.zero_grad()
        rate = net(x) + offset
        loss = (rate - y * torch.log(rate)).mean()  # guilty
        loss.backward()
        return loss

    optimizer.step(closure)
