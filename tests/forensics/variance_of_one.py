"""The last, smaller batch has one sample, whose standard deviation is 0 over 0."""

import torch
from torch import nn

torch.manual_seed(0)


class Whiten(nn.Module):
    def forward(self, x):
        spread = x.std(dim=0)  # guilty
        return (x - x.mean(dim=0)) / (spread + 1e-5)


model = nn.Sequential(nn.Linear(5, 9), Whiten(), nn.ReLU(), nn.Linear(9, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
inputs, labels = torch.randn(16 * 24 + 1, 5), torch.randint(0, 2, (16 * 24 + 1,))
for x, y in zip(inputs.split(16), labels.split(16), strict=True):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
