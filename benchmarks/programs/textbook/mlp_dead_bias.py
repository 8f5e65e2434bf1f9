import argparse, torch, torch.nn as nn, numpy as np
from sklearn.datasets import make_moons
p = argparse.ArgumentParser(); p.add_argument("--steps", type=int, default=600); p.add_argument("--lr", type=float, default=0.05); a = p.parse_args()
torch.manual_seed(3)
X, y = make_moons(1000, noise=0.1, random_state=0); X = torch.tensor(X, dtype=torch.float32); y = torch.tensor(y, dtype=torch.float32)
class MLP(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.a, self.b, self.c, self.o = nn.Linear(2, h), nn.Linear(h, h), nn.Linear(h, h), nn.Linear(h, 1)
        for l in (self.a, self.b, self.c): nn.init.constant_(l.bias, -2.5)
    def forward(self, x):
        x = torch.relu(self.a(x)); x = torch.relu(self.b(x)); x = torch.relu(self.c(x))
        return self.o(x).squeeze(-1)
m = MLP(); opt = torch.optim.SGD(m.parameters(), lr=a.lr)
for s in range(a.steps):
    i = torch.randint(0, 1000, (64,)); loss = nn.functional.binary_cross_entropy_with_logits(m(X[i]), y[i])
    opt.zero_grad(); loss.backward(); opt.step()
    if s % 100 == 0: print(s, loss.item())
print("acc", ((m(X) > 0).float() == y).float().mean().item())
