"""Tanh classifier of digits, own Dense module with raw parameters."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Dense(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Net(nn.Module):
    def __init__(self, width=256, depth=8):
        super().__init__()
        self.stem = Dense(64, width)
        self.body = nn.ModuleList(Dense(width, width) for _ in range(depth - 1))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        for layer in self.body:
            x = torch.tanh(layer(x))
        return self.head(x)


torch.manual_seed(17)
d = load_digits()
x = torch.tensor(d.data, dtype=torch.float32).sub(8).div(6)
y = torch.tensor(d.target)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
for epoch in range(22):
    model.train()
    for idx in torch.randperm(len(x)).split(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
with torch.no_grad():
    print("final loss", F.cross_entropy(model(x), y).item(), "accuracy", (model(x).argmax(1) == y).float().mean().item())
