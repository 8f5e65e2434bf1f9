"""A loss written as a module; its backward breaks at a pair of equal points."""

import torch
from torch import nn

torch.manual_seed(0)


class Contrastive(nn.Module):
    def forward(self, a, b, same):
        distance = torch.sqrt(((a - b) ** 2).sum(1))  # guilty
        return (same * distance + (1 - same) * torch.relu(1 - distance)).mean()


net = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 3))
criterion = Contrastive()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(45):
    a, b = torch.randn(8, 5), torch.randn(8, 5)
    if step == 30:
        b[5] = a[5]
    same = torch.randint(0, 2, (8,)).float()
    loss = criterion(net(a), net(b), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
