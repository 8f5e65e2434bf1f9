"""NaN from the very first step, and an exception before any optimizer has stepped."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = torch.relu(self.a(x))
        return self.b(torch.log(x))  # guilty


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
loss = nn.functional.cross_entropy(net(torch.randn(8, 6)), torch.randint(0, 2, (8,)))
assert torch.isfinite(loss), "loss is not finite"
loss.backward()
optimizer.step()
