"""Language model: GRU with N(0,1) weights; gates saturated."""
import torch, torch.nn as nn
from pydoc_data.topics import topics
torch.manual_seed(10)
t = topics["assignment"] + topics["class"] + topics["specialnames"][:20000]; cs = sorted(set(t)); D = torch.tensor([cs.index(c) for c in t])
class LM(nn.Module):
    def __init__(self):
        super().__init__(); self.e = nn.Embedding(len(cs), 24); self.g = nn.GRU(24, 64, 2, batch_first=True); self.o = nn.Linear(64, len(cs))
        for n, p in self.g.named_parameters(): nn.init.normal_(p, 0, 1.)
    def forward(self, x): return self.o(self.g(self.e(x))[0])
m = LM(); opt = torch.optim.Adam(m.parameters(), 1e-3); ce = nn.CrossEntropyLoss()
for s in range(300):
    p = torch.randint(0, len(D) - 33, (16,)); x = torch.stack([D[i:i + 32] for i in p]); y = torch.stack([D[i + 1:i + 33] for i in p])
    l = ce(m(x).transpose(1, 2), y); opt.zero_grad(); l.backward(); opt.step()
    if s % 50 == 0: print(s, l.item())
