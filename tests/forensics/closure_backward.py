"""The derivative of a root at zero inside the closure of L-BFGS; its next evaluation meets broken weights."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 2)
optimizer = torch.optim.LBFGS(net.parameters(), lr=0.05, max_iter=4)
x, y = torch.randn(30, 3), torch.randn(30, 2)


def closure():
    optimizer.zero_grad()
    distance = (net(x) - y).pow(2).sum(1).sqrt()  # guilty
    loss = distance.mean()
    loss.backward()
    return loss


for step in range(30):
    if step == 17:
        with torch.no_grad():
            y[4] = net(x)[4]
    optimizer.step(closure)
