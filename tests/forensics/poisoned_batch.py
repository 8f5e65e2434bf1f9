"""A batch that holds a NaN before anything is computed with it."""

import torch
from torch import nn

torch.manual_seed(0)
data = torch.randn(60, 16, 7)
data[27, 5, 2] = float("nan")
net = nn.Sequential(nn.Linear(7, 14), nn.ReLU(), nn.Linear(14, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for batch in data:
    y = torch.randint(0, 2, (16,))
    optimizer.zero_grad()
    logits = net(batch)  # guilty
    loss = nn.functional.cross_entropy(logits, y)
    loss.backward()
    optimizer.step()
