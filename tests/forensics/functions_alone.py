"""A network of bare tensors and functions, no module anywhere: a logarithm of zero."""

import torch
import torch.nn.functional as F

torch.manual_seed(0)
weights = [(0.3 * torch.randn(8, 8)).requires_grad_() for _ in range(2)]


def network(x):
    h = torch.tanh(F.linear(x, weights[0]))
    size = h.square().sum(1, keepdim=True)
    h = h + torch.log(size)  # guilty
    return F.linear(h, weights[1])


optimizer = torch.optim.Adam(weights, lr=1e-3)
for step in range(40):
    x = torch.randn(10, 8)
    if step == 23:
        x[2] = 0
    loss = network(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
