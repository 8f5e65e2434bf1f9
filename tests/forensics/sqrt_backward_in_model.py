"""The derivative of a root at zero, inside a model; the loss stays finite."""

import torch
from torch import nn

torch.manual_seed(0)


class Distance(nn.Module):
    def __init__(self):
        super().__init__()
        self.points = nn.Parameter(torch.randn(5, 3))

    def forward(self, x):
        squares = (x[:, None, :] - self.points).square().sum(-1)
        return squares.sqrt()  # guilty


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 3)
        self.distance = Distance()
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.distance(self.embed(x)))


net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(50):
    x, y = torch.randn(8, 4), torch.randint(0, 2, (8,))
    if step == 41:
        with torch.no_grad():
            net.distance.points[2] = net.embed(x)[1]
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
