"""Breast cancer, with a hand made layer."""
import math
import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer


class Dense(torch.nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(n_out, n_in) * 0.6)
        self.bias = torch.nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Dense(30, 150)
        self.b = Dense(150, 150)
        self.c = Dense(150, 150)
        self.d = Dense(150, 150)
        self.head = Dense(150, 2)

    def forward(self, x):
        x = F.relu(self.a(x))
        x = F.relu(self.b(x))
        x = F.relu(self.c(x))
        x = F.relu(self.d(x))
        return self.head(x)


torch.manual_seed(21)
raw = load_breast_cancer()
X = torch.tensor(raw.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
y = torch.tensor(raw.target)
order = torch.randperm(len(X))
tr, te = order[:450], order[450:]
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.03)
for step in range(500):
    i = tr[torch.randint(450, (32,))]
    loss = F.cross_entropy(net(X[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
with torch.no_grad():
    print("test loss", F.cross_entropy(net(X[te]), y[te]).item(), "accuracy", (net(X[te]).argmax(1) == y[te]).float().mean().item())
