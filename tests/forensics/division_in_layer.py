"""A normalization of one's own without an epsilon meets a constant row."""

import torch
from torch import nn

torch.manual_seed(0)


class Standardize(nn.Module):
    def forward(self, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        return centred / x.std(dim=-1, keepdim=True)  # guilty


net = nn.Sequential(Standardize(), nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for step in range(40):
    x, y = torch.randn(9, 6), torch.randint(0, 2, (9,))
    if step == 35:
        x[3] = 2.0
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
