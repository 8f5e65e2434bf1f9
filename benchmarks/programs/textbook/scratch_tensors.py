"""A network from scratch: plain tensors with requires_grad, no nn.Module; circles against rings."""
import math

import torch

torch.manual_seed(71)
g = torch.Generator().manual_seed(5)
r = torch.cat([torch.rand(600, generator=g), 1.3 + torch.rand(600, generator=g), 2.6 + torch.rand(600, generator=g)])
phi = torch.rand(1800, generator=g) * 2 * math.pi
x = torch.stack([r * phi.cos(), r * phi.sin()], 1)
y = torch.arange(3).repeat_interleave(600)

sizes = [2, 60, 60, 60, 60, 60, 3]
weights = [torch.randn(a, b, requires_grad=True) for a, b in zip(sizes, sizes[1:])]
biases = [torch.zeros(b, requires_grad=True) for b in sizes[1:]]


def forward(h):
    for w, b in zip(weights[:-1], biases[:-1]):
        h = torch.sigmoid(h @ (0.1 * w) + b)
    return h @ weights[-1] + biases[-1]


optimizer = torch.optim.SGD(weights + biases, lr=0.1)
for step in range(800):
    idx = torch.randint(0, 1800, (50,))
    loss = torch.nn.functional.cross_entropy(forward(x[idx]), y[idx])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item())
print("final loss", torch.nn.functional.cross_entropy(forward(x), y).item(), "accuracy", (forward(x).argmax(1) == y).float().mean().item())
