"""A normalization without eps in a Sequential, whose modules one line runs: where it is made counts."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(
    nn.Linear(6, 8, bias=False),
    nn.LayerNorm(8, eps=0.0),  # guilty
    nn.Linear(8, 2),
)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(40):
    x, y = torch.randn(10, 6), torch.randint(0, 2, (10,))
    if step == 27:
        x[4] = 0
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
