"""log of zero in the forward pass of a layer of one's own."""

import torch
from torch import nn

torch.manual_seed(0)


class LogLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, x):
        z = self.inner(x).abs()
        z = z * (self.count < 30)
        return torch.log(z)  # guilty


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.middle = LogLayer()
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        return self.last(self.middle(torch.tanh(self.first(x))))


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(40):
    net.middle.count = step
    x, y = torch.randn(16, 8), torch.randint(0, 2, (16,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
