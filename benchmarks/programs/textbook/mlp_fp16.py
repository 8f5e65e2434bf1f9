"""Sinus regression with the model in half precision."""
import torch
from torch import nn, optim

torch.manual_seed(8)
net = nn.Sequential(
    nn.Linear(2, 64), nn.Tanh(),
    nn.Linear(64, 64), nn.Tanh(),
    nn.Linear(64, 1),
).half()


def sample(n):
    x = torch.rand(n, 2) * 4 - 2
    t = torch.sin(2 * x[:, :1]) * torch.cos(x[:, 1:])
    return x.half(), t.half()


optimizer = optim.Adam(net.parameters(), lr=1e-3)
for step in range(800):
    x, t = sample(128)
    loss = ((net(x) - t) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item(), flush=True)
with torch.no_grad():
    x, t = sample(1000)
    err = (net(x).float() - t.float()).pow(2).mean() / t.float().var()
print("relative error", err.item())
