"""The script itself raises when its loss is NaN, before backward."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.a(x)
        x = x / x.amax(dim=1, keepdim=True).relu()  # guilty
        return self.b(x)


def main():
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(60):
        x, y = torch.randn(8, 6), torch.randint(0, 2, (8,))
        if step == 36:
            with torch.no_grad():
                net.a.bias -= 1e3
        loss = nn.functional.cross_entropy(net(x), y)
        if not torch.isfinite(loss):
            raise RuntimeError(f"loss is {loss.item()} at step {step}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


main()
