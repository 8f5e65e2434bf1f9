"""Regression whose output is a tanh, weights N(0,3^2): saturated from the start."""
import torch
from torch import nn
from sklearn.datasets import load_diabetes
torch.manual_seed(27)
d = load_diabetes(); X = torch.tensor(d.data / d.data.std(0)).float(); t = torch.tensor((d.target - d.target.mean()) / d.target.std() / 3).float()[:, None]
net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1), nn.Tanh())
for m in net:
    if isinstance(m, nn.Linear): nn.init.normal_(m.weight, std=3.)
opt = torch.optim.SGD(net.parameters(), lr=0.05)
for e in range(30):
    for b in torch.randperm(442).split(32):
        l = nn.functional.mse_loss(net(X[b]), t[b]); opt.zero_grad(); l.backward(); opt.step()
    if e % 5 == 0: print(e, l.item())
