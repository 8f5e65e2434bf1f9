"""Adam with eps=1e-2 on gradients of 1e-5."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(24)
X, y = load_digits(return_X_y=True); X = torch.tensor(X / 16).float(); y = torch.tensor(y)
m = nn.Sequential(nn.Linear(64, 128), nn.Tanh(), nn.Linear(128, 128), nn.Tanh(), nn.Linear(128, 10))
opt = torch.optim.Adam(m.parameters(), lr=1e-3, eps=1.0)
for s in range(400):
    i = torch.randint(0, 1797, (64,)); l = nn.functional.cross_entropy(m(X[i]), y[i]); opt.zero_grad(); l.backward(); opt.step()
    if s % 100 == 0: print(s, l.item())
