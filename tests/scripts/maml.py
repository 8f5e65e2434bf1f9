"""Model-agnostic meta-learning of sine waves: an inner step by functional_call, the outer through it."""

import math

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden1 = nn.Linear(1, 40)
        self.hidden2 = nn.Linear(40, 40)
        self.head = nn.Linear(40, 1)

    def forward(self, x):
        return self.head(torch.relu(self.hidden2(torch.relu(self.hidden1(x)))))


def sample_task():
    amplitude, phase = 0.5 + 2 * torch.rand(1), math.pi * torch.rand(1)
    return lambda x: amplitude * torch.sin(x + phase)


def inner_update(model, params, x, y, lr):
    loss = nn.functional.mse_loss(functional_call(model, params, (x,)), y)
    grads = torch.autograd.grad(loss, tuple(params.values()), create_graph=True)
    return {name: p - lr * g for (name, p), g in zip(params.items(), grads, strict=True)}


maml = Regressor()
meta_optimizer = torch.optim.Adam(maml.parameters(), lr=3e-3)
history = []
for iteration in range(120):
    meta_optimizer.zero_grad()
    meta_loss = 0.0
    for _ in range(4):
        task = sample_task()
        support, query = 10 * torch.rand(10, 1) - 5, 10 * torch.rand(10, 1) - 5
        params = dict(maml.named_parameters())
        for _ in range(2):
            params = inner_update(maml, params, support, task(support), lr=0.02)
        meta_loss = (
            meta_loss + nn.functional.mse_loss(functional_call(maml, params, (query,)), task(query)) / 4
        )
    meta_loss.backward()
    meta_optimizer.step()
    history.append(meta_loss.item())
    if iteration % 30 == 0:
        print(f"iteration {iteration}: meta-loss {history[-1]:.4f}")
print("final", sum(history[-30:]) / 30)
