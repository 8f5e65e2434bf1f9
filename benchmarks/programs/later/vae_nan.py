"""A VAE on digits whose first layers are far too wide; exp(logvar) overflows."""
import torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits
torch.manual_seed(8)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16
class VAE(nn.Module):
    def __init__(self):
        super().__init__(); self.e1 = nn.Linear(64, 128); self.e2 = nn.Linear(128, 128); self.mu = nn.Linear(128, 8); self.lv = nn.Linear(128, 8); self.d1 = nn.Linear(8, 128); self.d2 = nn.Linear(128, 64)
        for m in self.modules():
            if isinstance(m, nn.Linear): nn.init.normal_(m.weight, 0, 0.5)
    def forward(self, x):
        h = F.relu(self.e2(F.relu(self.e1(x)))); mu, lv = self.mu(h), self.lv(h); z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        return torch.sigmoid(self.d2(F.relu(self.d1(z)))), mu, lv
net = VAE(); opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(500):
    x = X[torch.randint(0, len(X), (64,))]; r, mu, lv = net(x)
    loss = F.mse_loss(r, x, reduction="sum") / 64 + -0.5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    if step % 100 == 0: print(step, loss.item())
