"""A network run with computed weights (a step of meta-learning), one step of which is far too large."""

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(30):
    weights = dict(net.named_parameters())
    x = torch.randn(10, 3)
    y = x.sum(1, keepdim=True)
    for _ in range(3):
        inner = (functional_call(net, weights, (x,)) - y).square().mean()
        slopes = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
        rate = 0.01 if step != 17 else 1e25
        weights = {
            name: weight - rate * slope  # guilty
            for (name, weight), slope in zip(weights.items(), slopes, strict=True)
        }
    loss = (functional_call(net, weights, (x,)) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
