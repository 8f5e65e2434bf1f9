import torch, numpy as np
from torch import nn
from sklearn.datasets import fetch_openml, load_wine
torch.manual_seed(21)
d = load_wine(); X = torch.tensor((d.data - d.data.mean(0)) / d.data.std(0)).float(); y = torch.tensor(d.target)
class DeepReLU(nn.Module):
    def __init__(self, n=40, w=64):
        super().__init__(); self.first = nn.Linear(13, w); self.mid = nn.ModuleList(); self.last = nn.Linear(w, 3)
        for _ in range(n): self.mid.append(nn.Linear(w, w))
    def forward(self, x):
        x = self.first(x).relu()
        for m in self.mid: x = m(x).relu()
        return self.last(x)
net = DeepReLU(); opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9); sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 400)
for it in range(400):
    loss = nn.functional.cross_entropy(net(X), y); opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    if it % 80 == 0: print(it, loss.item())
