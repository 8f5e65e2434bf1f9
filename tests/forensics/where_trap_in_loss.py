"""`where` hides a logarithm of zero from the loss, but not from its gradient."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4), nn.ReLU())
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(60):
    rate = net(torch.randn(12, 6)) + (0.5 if step < 33 else 0.0)
    count = torch.randint(0, 3, (12, 4)).float()
    logs = torch.where(rate > 0, torch.log(rate), torch.zeros_like(rate))  # guilty
    loss = (rate - count * logs).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
