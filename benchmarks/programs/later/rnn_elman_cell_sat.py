"""Own Elman cell; inputs in the hundreds saturate its tanh from the first step."""
import torch
from torch import nn

torch.manual_seed(106)


class Cell(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.w = nn.Parameter(torch.randn(n_in, n_hidden) * 0.5)
        self.u = nn.Parameter(torch.randn(n_hidden, n_hidden) / n_hidden**0.5)
        self.b = nn.Parameter(torch.zeros(n_hidden))

    def forward(self, x, h):
        return torch.tanh(x @ self.w + h @ self.u + self.b)


class Trend(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell(1, 40)
        self.head = nn.Linear(40, 2)

    def forward(self, x):
        h = torch.zeros(len(x), 40)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)


def prices(n):
    drift = torch.randint(0, 2, (n,))
    steps = torch.randn(n, 15) * 3 + (drift.float()[:, None] - 0.5) * 3
    return (300 + 20 * torch.randn(n, 1) + steps.cumsum(1)).unsqueeze(-1), drift


model = Trend()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for i in range(400):
    x, y = prices(64)
    loss = nn.functional.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 100 == 0:
        print(i, loss.item())
