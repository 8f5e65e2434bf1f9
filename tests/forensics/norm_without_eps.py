"""A layer normalization whose eps is 0 over a row that has become constant."""

import torch
from torch import nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8, eps=0.0)

    def forward(self, x):
        x = self.linear(x)
        return torch.relu(self.norm(x))  # guilty


model = nn.Sequential(Block(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(45):
    x, y = torch.randn(12, 6), torch.randint(0, 3, (12,))
    if step == 36:
        with torch.no_grad():
            model[0].linear.weight.zero_()
            model[0].linear.bias.zero_()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
