"""A deep GELU residual tower, no norms, branches not scaled, SGD: NaN soon."""
import torch, torch.nn as nn
from sklearn.datasets import load_breast_cancer
torch.manual_seed(29)
d = load_breast_cancer(); X = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0)).float(); y = torch.tensor(d.target).float()
class Res(nn.Module):
    def __init__(self, w): super().__init__(); self.a = nn.Linear(w, w); self.b = nn.Linear(w, w); nn.init.kaiming_normal_(self.a.weight); nn.init.kaiming_normal_(self.b.weight)
    def forward(self, x): return x + self.b(nn.functional.gelu(self.a(x)))
net = nn.Sequential(nn.Linear(30, 48), *[Res(48) for _ in range(24)], nn.Linear(48, 1))
opt = torch.optim.SGD(net.parameters(), lr=1e-2)
for s in range(300):
    i = torch.randint(0, 569, (32,)); l = nn.functional.binary_cross_entropy_with_logits(net(X[i])[:, 0], y[i]); opt.zero_grad(); l.backward(); opt.step()
    if s % 50 == 0: print(s, l.item())
