"""Shared trunk, two heads: price (in dollars) and a class."""
import torch
import torch.nn as nn


class SharedTrunk(nn.Module):
    def __init__(self, n_in, width):
        super().__init__()
        self.l1 = nn.Linear(n_in, width)
        self.l2 = nn.Linear(width, width)
        self.l3 = nn.Linear(width, width)

    def forward(self, x):
        return torch.relu(self.l3(torch.relu(self.l2(torch.relu(self.l1(x))))))


class MultiTask(nn.Module):
    def __init__(self, n_in=12, width=64):
        super().__init__()
        self.trunk = SharedTrunk(n_in, width)
        self.heads = nn.ModuleDict({"price": nn.Linear(width, 1), "kind": nn.Linear(width, 4)})

    def forward(self, x):
        h = self.trunk(x)
        return {"price": self.heads["price"](h).squeeze(-1), "kind": self.heads["kind"](h)}


def make(n, g):
    x = torch.randn(n, 12, generator=g)
    price = 40 + 15 * x[:, 0] + 10 * torch.sin(2 * x[:, 1]) + 8 * x[:, 2] * x[:, 3]
    kind = (x[:, 4] > 0).long() * 2 + (x[:, 5] * x[:, 6] > 0).long()
    return x, price, kind


torch.manual_seed(11)
g = torch.Generator().manual_seed(11)
x, price, kind = make(4000, g)
xv, pv, kv = make(500, g)
net = MultiTask()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
mse, ce = nn.MSELoss(), nn.CrossEntropyLoss()
for it in range(800):
    i = torch.randint(0, 4000, (64,))
    out = net(x[i])
    loss = mse(out["price"], price[i]) + ce(out["kind"], kind[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 100 == 0 or it == 799:
        print(it, float(loss))
with torch.no_grad():
    o = net(xv)
    print("val price rmse", (o["price"] - pv).pow(2).mean().sqrt().item(), "kind acc", (o["kind"].argmax(1) == kv).float().mean().item())
