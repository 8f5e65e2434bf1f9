"""Mean and log variance of a noisy curve; inputs are years."""
import torch
from torch import nn


class Hetero(nn.Module):
    def __init__(self, w=48):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, w), nn.Tanh(), nn.Linear(w, w), nn.Tanh(), nn.Linear(w, w), nn.Tanh())
        self.mean = nn.Linear(w, 1)
        self.logvar = nn.Linear(w, 1)

    def forward(self, t):
        h = self.trunk(t)
        return {"mean": self.mean(h), "logvar": self.logvar(h)}


def nll(out, y):
    return 0.5 * (out["logvar"] + (y - out["mean"]) ** 2 * torch.exp(-out["logvar"])).mean()


torch.manual_seed(19)
t = torch.rand(1200, 1) * 40 + 1980
u = (t - 2000) / 20
y = torch.sin(4 * u) + (0.05 + 0.3 * (u > 0).float()) * torch.randn_like(u)
net = Hetero()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for s in range(800):
    i = torch.randint(0, 1000, (50,))
    loss = nll(net(t[i]), y[i])
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if s % 80 == 0:
        print(s, loss.item())
with torch.no_grad():
    o = net(t[1000:])
    print("val nll", nll(o, y[1000:]).item(), "mse", (o["mean"] - y[1000:]).pow(2).mean().item(), "variance", y.var().item())
