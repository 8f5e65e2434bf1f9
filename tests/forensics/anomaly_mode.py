"""The script runs under torch.autograd.detect_anomaly, which raises in backward."""

import torch
from torch import nn

torch.manual_seed(0)


class Length(nn.Module):
    def forward(self, x):
        return (x * x).sum(1, keepdim=True) ** 0.5  # guilty


net = nn.Sequential(nn.Linear(6, 6, bias=False), Length(), nn.Linear(1, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
with torch.autograd.detect_anomaly():
    for step in range(40):
        x, y = torch.randn(8, 6), torch.randint(0, 2, (8,))
        if step == 28:
            x[3] = 0
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
