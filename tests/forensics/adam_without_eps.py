"""Adam with eps 0 divides 0 by 0 where a gradient is exactly zero."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(7, 14), nn.ReLU(), nn.Linear(14, 2))
fresh = nn.Parameter(torch.ones(3))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=0.0)
for step in range(40):
    x, y = torch.randn(16, 7), torch.randint(0, 2, (16,))
    if step == 26:
        with torch.no_grad():
            for state in optimizer.state.values():
                state["exp_avg_sq"].zero_()
                state["exp_avg"].zero_()
            x.zero_()
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()  # guilty
