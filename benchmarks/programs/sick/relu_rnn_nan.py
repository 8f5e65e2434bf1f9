import torch
import torch.nn as nn
import math

# Predict the next value of a noisy sum of sines
torch.manual_seed(7)


def make_waves(n, length):
    t = torch.arange(length).float()[None, :]
    f1 = 0.05 + 0.1 * torch.rand(n, 1)
    f2 = 0.2 + 0.2 * torch.rand(n, 1)
    ph = 2 * math.pi * torch.rand(n, 1)
    return torch.sin(2 * math.pi * f1 * t + ph) + 0.5 * torch.sin(2 * math.pi * f2 * t) + 0.02 * torch.randn(n, length)


class Forecaster(nn.Module):
    def __init__(self, size=128):
        super().__init__()
        self.cell = nn.RNNCell(1, size, nonlinearity="relu")
        self.cell2 = nn.RNNCell(size, size, nonlinearity="relu")
        self.proj = nn.Linear(size, 1)
        self.size = size
        for c in (self.cell, self.cell2):
            nn.init.kaiming_normal_(c.weight_ih, nonlinearity="relu")
            nn.init.normal_(c.weight_hh, 0, 0.25)

    def forward(self, x):
        h1 = torch.zeros(x.shape[0], self.size)
        h2 = torch.zeros(x.shape[0], self.size)
        preds = []
        for t in range(x.shape[1]):
            h1 = self.cell(x[:, t : t + 1], h1)
            h2 = self.cell2(h1, h2)
            preds.append(self.proj(h2))
        return torch.cat(preds, 1)


waves = make_waves(600, 41)
test = make_waves(100, 41)
net = Forecaster()
optim = torch.optim.Adam(net.parameters(), 1e-3)
mse = nn.MSELoss()
step = 0
for epoch in range(12):
    perm = torch.randperm(600)
    for k in range(0, 600, 30):
        w = waves[perm[k : k + 30]]
        pred = net(w[:, :-1])
        l = mse(pred, w[:, 1:])
        optim.zero_grad()
        l.backward()
        optim.step()
        step += 1
    print("epoch", epoch, "loss", l.item())
with torch.no_grad():
    print("test mse", mse(net(test[:, :-1]), test[:, 1:]).item(), "variance", test.var().item())
