"""Healthy: LSTM character model with gradient clipping."""
import pydoc_data.topics as t, torch
from torch import nn
torch.manual_seed(2)
text = (t.topics["class"] + t.topics["with"] + t.topics["yield"])[:20000]
v = sorted(set(text)); data = torch.tensor([v.index(c) for c in text])
class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(len(v), 32); self.r = nn.LSTM(32, 96, batch_first=True); self.o = nn.Linear(96, len(v))
    def forward(self, x):
        return self.o(self.r(self.e(x))[0])
m = LM(); opt = torch.optim.Adam(m.parameters(), lr=3e-3)
for i in range(300):
    s = torch.randint(0, len(data) - 33, (24,)); c = data[s[:, None] + torch.arange(33)]
    loss = nn.functional.cross_entropy(m(c[:, :-1]).transpose(1, 2), c[:, 1:])
    opt.zero_grad(); loss.backward(); nn.utils.clip_grad_norm_(m.parameters(), 5.0); opt.step()
    if i % 30 == 0: print(i, loss.item())
print("final", loss.item())
