"""Weight-tied equilibrium layer, solved by plain iteration; regression on Friedman's function."""
import torch
import torch.nn as nn
from sklearn.datasets import make_friedman1
from sklearn.preprocessing import StandardScaler

SEED = 31
torch.manual_seed(SEED)
X, y = make_friedman1(2000, n_features=10, noise=0.5, random_state=SEED)
X = torch.tensor(StandardScaler().fit_transform(X), dtype=torch.float32)
y = torch.tensor(StandardScaler().fit_transform(y[:, None]), dtype=torch.float32)
Xtr, ytr, Xva, yva = X[:1600], y[:1600], X[1600:], y[1600:]


class FixedPoint(nn.Module):
    def __init__(self, dim, iters=30, init_gain=5.0):
        super().__init__()
        self.W = nn.Linear(dim, dim, bias=False)
        self.U = nn.Linear(10, dim)
        self.iters = iters
        nn.init.orthogonal_(self.W.weight, init_gain)

    def forward(self, x):
        u = self.U(x)
        z = torch.zeros_like(u)
        for _ in range(self.iters):
            z = torch.tanh(self.W(z) + u)
        return z


class DEQ(nn.Module):
    def __init__(self):
        super().__init__()
        self.fp = FixedPoint(64)
        self.norm = nn.LayerNorm(64)
        self.out = nn.Linear(64, 1)

    def forward(self, x):
        return self.out(self.norm(self.fp(x)))


model = DEQ()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-4)
for epoch in range(24):
    order = torch.randperm(len(Xtr))
    for b in order.split(64):
        loss = nn.functional.mse_loss(model(Xtr[b]), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 4 == 3:
        with torch.no_grad():
            print("epoch", epoch + 1, "train", round(loss.item(), 4), "val", nn.functional.mse_loss(model(Xva), yva).item())
