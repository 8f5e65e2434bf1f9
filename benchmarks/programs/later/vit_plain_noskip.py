"""Patches of digits; 10 attention blocks without skip connections."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(22)
d = load_digits(); X = torch.tensor(d.images / 16.).float(); Y = torch.tensor(d.target)
P = X.unfold(1, 2, 2).unfold(2, 2, 2).reshape(len(X), 16, 4)
class Blk(nn.Module):
    def __init__(self, d): super().__init__(); self.ln = nn.LayerNorm(d); self.att = nn.MultiheadAttention(d, 4, batch_first=True); self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d))
    def forward(self, x):
        x = self.ln(x); x, _ = self.att(x, x, x, need_weights=False); return self.ff(x)
class Vit(nn.Module):
    def __init__(self, d=32, n=10): super().__init__(); self.emb = nn.Linear(4, d); self.pos = nn.Parameter(.1 * torch.randn(1, 16, d)); self.blocks = nn.Sequential(*[Blk(d) for _ in range(n)]); self.fc = nn.Linear(d, 10)
    def forward(self, p): return self.fc(self.blocks(self.emb(p) + self.pos).mean(1))
net = Vit(); opt = torch.optim.Adam(net.parameters(), 1e-3)
for s in range(250):
    i = torch.randint(0, len(P), (32,)); l = nn.functional.cross_entropy(net(P[i]), Y[i]); opt.zero_grad(); l.backward(); opt.step()
    if s % 50 == 0: print(s, l.item())
