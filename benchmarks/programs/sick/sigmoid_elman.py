import torch
import torch.nn as nn
import numpy as np

rng = np.random.default_rng(4)
torch.manual_seed(4)

# two events, each up or down, come early in a noisy recording: say which and in which order
def recordings(n, length=40):
    X = rng.normal(0, 0.2, (n, length)).astype("float32")
    a, b = rng.integers(2, size=(2, n))
    for i in range(n):
        p, q = sorted(rng.choice(18, 2, replace=False))
        X[i, p] += 3 * (2 * a[i] - 1)
        X[i, q] += 3 * (2 * b[i] - 1)
    return torch.tensor(X), torch.tensor(2 * a + b)


class Elman(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.Wx = nn.Parameter(torch.randn(1, hidden))
        self.Wh = nn.Parameter(torch.randn(hidden, hidden) / hidden**0.5)
        self.b = nn.Parameter(torch.zeros(hidden))
        self.Wy = nn.Parameter(torch.randn(hidden, 4) / hidden**0.5)
        self.by = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        h = torch.zeros(x.size(0), self.Wh.size(0))
        for t in range(x.size(1)):
            h = torch.sigmoid(x[:, t, None] @ self.Wx + h @ self.Wh + self.b)
        return h @ self.Wy + self.by


X, Y = recordings(2000)
Xt, Yt = recordings(300)
net = Elman()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(1, 801):
    i = torch.from_numpy(rng.integers(0, 2000, 50))
    loss = nn.functional.cross_entropy(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 0:
        with torch.no_grad():
            print(step, "train", round(loss.item(), 4), "test acc", (net(Xt).argmax(1) == Yt).float().mean().item())
