"""One-cycle schedule whose peak is far too high: the ReLUs die on the way up."""
import torch, torch.nn as nn
from sklearn.datasets import load_digits
torch.manual_seed(28)
d = load_digits(); X = torch.tensor(d.images / 16).float()[:, None]; Y = torch.tensor(d.target)
class CNN(nn.Module):
    def __init__(self): super().__init__(); self.c1 = nn.Conv2d(1, 16, 3, padding=1); self.c2 = nn.Conv2d(16, 32, 3, padding=1); self.c3 = nn.Conv2d(32, 32, 3, padding=1); self.f1 = nn.Linear(32 * 16, 64); self.f2 = nn.Linear(64, 10)
    def forward(self, x):
        x = torch.relu(self.c1(x)); x = nn.functional.max_pool2d(torch.relu(self.c2(x)), 2); x = torch.relu(self.c3(x)); return self.f2(torch.relu(self.f1(x.flatten(1))))
net = CNN(); opt = torch.optim.Adam(net.parameters(), lr=1e-4); sch = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.3, total_steps=300)
for s in range(300):
    i = torch.randint(0, 1797, (64,)); l = nn.functional.cross_entropy(net(X[i]), Y[i]); opt.zero_grad(); l.backward(); opt.step(); sch.step()
    if s % 50 == 0: print(s, l.item())
