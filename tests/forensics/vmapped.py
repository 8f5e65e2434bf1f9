"""A module applied to each sample by itself, by torch.func: the reciprocal of a sum that is zero."""

import torch
from torch import nn
from torch.func import functional_call, vmap

torch.manual_seed(0)


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        h = self.linear(x)
        return h * h.sum().reciprocal()  # guilty


net = Normalized()
parameters = dict(net.named_parameters())
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
for step in range(40):
    x = torch.randn(8, 4)
    if step == 25:
        x[3] = 0
    loss = vmap(lambda v: functional_call(net, parameters, (v,)))(x).tanh().square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
