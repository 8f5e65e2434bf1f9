"""A root of zero inside a checkpointed segment: it breaks only backward."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

torch.manual_seed(0)


class Segment(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        x = self.linear(x).abs() * self.keep
        return torch.sqrt(x)  # guilty


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.segment, self.head = nn.Linear(5, 8), Segment(), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(checkpoint(self.segment, torch.relu(self.stem(x)), use_reentrant=False))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(45):
    net.segment.keep = torch.ones(8)
    if step == 32:
        net.segment.keep[3] = 0
    x, y = torch.randn(8, 5), torch.randint(0, 2, (8,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
