"""A finite number divided by zero, and the infinity multiplied by zero."""

import torch
from torch import nn

torch.manual_seed(0)


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)

    def forward(self, x, weight):
        inverse = 1 / weight  # guilty
        x = self.inner(x)
        return x * (inverse * (weight > 0))


net, head = Weighted(), nn.Linear(6, 2)
optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=1e-3)
for step in range(45):
    x, y = torch.randn(8, 6), torch.randint(0, 2, (8,))
    weight = torch.rand(8, 1) + 0.1
    if step > 27:
        weight[0] = 0
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(head(net(x, weight)), y)
    loss.backward()
    optimizer.step()
