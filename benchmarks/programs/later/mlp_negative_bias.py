"""Two intertwined spirals."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
rng = np.random.default_rng(0)
n = 600
theta = np.sqrt(rng.random(n)) * 2.2 * np.pi
r = theta / 6
arm = np.stack([r * np.cos(theta), r * np.sin(theta)], 1)
pts = np.concatenate([arm, -arm]) + rng.normal(size=(2 * n, 2)) * 0.02
X = torch.tensor(pts, dtype=torch.float32)
Y = torch.cat([torch.zeros(n), torch.ones(n)])


class SpiralNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList()
        last = 2
        for w in [64, 64, 64, 64]:
            self.blocks.append(nn.Linear(last, w))
            last = w
        self.score = nn.Linear(last, 1)
        self.apply(self._init)

    @staticmethod
    def _init(m):
        if isinstance(m, nn.Linear):
            nn.init.xavier_uniform_(m.weight)
            nn.init.constant_(m.bias, -1.5)

    def forward(self, x):
        for b in self.blocks:
            x = b(x).relu()
        return self.score(x).squeeze(1)


net = SpiralNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(60):
    for idx in torch.randperm(2 * n).split(100):
        loss = bce(net(X[idx]), Y[idx])
        opt.zero_grad(); loss.backward(); opt.step()
    if epoch % 6 == 0:
        print(f"epoch {epoch:3d} loss {loss.item():.4f}")
acc = ((net(X) > 0) == (Y > 0.5)).float().mean()
print("final accuracy", acc.item(), "loss", bce(net(X), Y).item())
