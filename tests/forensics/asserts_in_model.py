"""An assertion inside the model fails on a NaN that an earlier layer has made."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        angle = torch.acos(torch.tanh(self.a(x)) * self.reach)  # guilty
        assert not torch.isnan(angle).any(), "angle"
        return self.b(angle)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(40):
    net.reach = 0.9 if step < 27 else 4.0
    x, y = torch.randn(8, 6), torch.randint(0, 2, (8,))
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
