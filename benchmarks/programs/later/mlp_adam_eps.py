"""Breast cancer classifier; eps was raised for "stability"."""
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import nn

torch.manual_seed(1)
data = load_breast_cancer()
X = torch.tensor(StandardScaler().fit_transform(data.data), dtype=torch.float32)
y = torch.tensor(data.target, dtype=torch.float32)
net = nn.Sequential(nn.Linear(30, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 24), nn.SiLU(), nn.Linear(24, 1), nn.Flatten(0))
optim = torch.optim.Adam(net.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1.0)
criterion = nn.BCEWithLogitsLoss()
n_train = 456
for it in range(400):
    take = torch.randint(0, n_train, (24,))
    value = criterion(net(X[take]), y[take])
    optim.zero_grad()
    value.backward()
    optim.step()
    if it % 40 == 0:
        print(f"iter {it} loss {value.item():.4f}")
with torch.no_grad():
    logit = net(X[n_train:])
print("test loss", criterion(logit, y[n_train:]).item(), "accuracy", ((logit > 0) == (y[n_train:] > 0.5)).float().mean().item())
