"""Regression on generated housing-like data, whole model kept in bfloat16 to save memory."""
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler

torch.manual_seed(0)
X, y = make_friedman1(3000, n_features=10, noise=0.3, random_state=0)
X = StandardScaler().fit_transform(X)
y = (y - y.mean()) / y.std()
X = torch.tensor(X, dtype=torch.bfloat16)
y = torch.tensor(y, dtype=torch.bfloat16).unsqueeze(1)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.fc = nn.Linear(d, d)

    def forward(self, x):
        return x + torch.nn.functional.silu(self.fc(self.norm(x)))


class TabNet(nn.Module):
    def __init__(self, d=128, n=3):
        super().__init__()
        self.inp = nn.Linear(10, d)
        self.blocks = nn.Sequential(*[Block(d) for _ in range(n)])
        self.out = nn.Linear(d, 1)

    def forward(self, x):
        return self.out(self.blocks(self.inp(x)))


model = TabNet().to(torch.bfloat16)
opt = torch.optim.Adam(model.parameters(), lr=5e-5, weight_decay=0.0)
for step in range(1000):
    i = torch.randint(0, 2700, (64,))
    loss = nn.functional.mse_loss(model(X[i]), y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0 or step == 999:
        with torch.no_grad():
            print(step, loss.item(), "val", nn.functional.mse_loss(model(X[2700:]).float(), y[2700:].float()).item())
