"""A char CNN with SGD, momentum .99 and a rate of .3: it blows up."""
import torch, torch.nn as nn
from pydoc_data.topics import topics
torch.manual_seed(32)
t = topics["operator-summary"] + topics["typesseq"] + topics["strings"]; cs = sorted(set(t)); D = torch.tensor([cs.index(c) for c in t])
class CharCNN(nn.Module):
    def __init__(self, v): super().__init__(); self.e = nn.Embedding(v, 32); self.c = nn.Sequential(nn.Conv1d(32, 64, 5), nn.ReLU(), nn.Conv1d(64, 64, 5), nn.ReLU(), nn.Conv1d(64, 64, 4), nn.ReLU()); self.o = nn.Linear(64, v)
    def forward(self, x): return self.o(self.c(self.e(x).transpose(1, 2))[:, :, -1])
net = CharCNN(len(cs)); opt = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.99, nesterov=True)
for s in range(400):
    p = torch.randint(0, len(D) - 13, (64,)); x = torch.stack([D[i:i + 12] for i in p]); y = D[p + 12]
    l = nn.functional.cross_entropy(net(x), y); opt.zero_grad(); l.backward(); opt.step()
    if s % 80 == 0: print(s, l.item())
