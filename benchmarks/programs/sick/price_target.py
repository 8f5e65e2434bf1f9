"""House-like prices, raw dollars as the target."""
import numpy as np, torch, torch.nn as nn
torch.manual_seed(0); rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 8)).astype("float32")
price = (250_000 + 60_000 * X[:, 0] - 30_000 * X[:, 1] * X[:, 2] + 20_000 * np.abs(X[:, 3])).astype("float32")
X, t = torch.tensor(X), torch.tensor(price)[:, None]
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Linear(64, 1)
    def forward(self, x):
        return self.head(self.body(x))
net = Net(); opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(800):
    i = torch.randint(0, 3000, (64,))
    loss = nn.functional.mse_loss(net(X[i]), t[i])
    opt.zero_grad(); loss.backward(); opt.step()
    if step % 100 == 99: print(step, loss.item() ** 0.5)
print("std", t.std().item())
