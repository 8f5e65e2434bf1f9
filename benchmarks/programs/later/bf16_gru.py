"""GRU in bfloat16, AdamW at 3e-5: steps are rounded away."""
import torch, torch.nn as nn
torch.manual_seed(23)
class Net(nn.Module):
    def __init__(self): super().__init__(); self.g = nn.GRU(4, 48, batch_first=True); self.o = nn.Linear(48, 4)
    def forward(self, x): return self.o(self.g(x)[1][0])
net = Net().to(torch.bfloat16); opt = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.0)
for s in range(500):
    k = torch.randint(0, 4, (32, 10)); x = torch.eye(4)[k].bfloat16(); y = k[:, 7]
    l = nn.functional.cross_entropy(net(x).float(), y); opt.zero_grad(); l.backward(); opt.step()
    if s % 100 == 0: print(s, l.item())
