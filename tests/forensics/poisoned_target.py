"""A target that is NaN."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(7, 14), nn.ReLU(), nn.Linear(14, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(50):
    x = torch.randn(16, 7)
    y = x.sum(1, keepdim=True)
    if step == 30:
        y[3] = float("nan")
    prediction = net(x)
    loss = nn.functional.mse_loss(prediction, y)  # guilty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
