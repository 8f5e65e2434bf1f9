"""Healthy: iris with a small GELU network and AdamW."""
import torch
from sklearn.datasets import load_iris
from torch import nn

torch.manual_seed(2)
d = load_iris()
x = torch.tensor(d.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(d.target)
p = torch.randperm(150)
net = nn.Sequential(nn.Linear(4, 32), nn.GELU(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 3))
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
for step in range(400):
    i = p[:120][torch.randint(0, 120, (30,))]
    loss = nn.functional.cross_entropy(net(x[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
print("test acc", (net(x[p[120:]]).argmax(1) == y[p[120:]]).float().mean().item())
