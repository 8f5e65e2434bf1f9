import torch, torch.nn as nn
from pydoc_data.topics import topics
torch.manual_seed(0)
text = "".join(sorted(topics.values()))[:120000]
vocab = sorted(set(text)); enc = {c: i for i, c in enumerate(vocab)}
ids = torch.tensor([enc[c] for c in text])
class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(len(vocab), 24)
        self.r = nn.GRU(24, 96, batch_first=True)
        self.o = nn.Linear(96, len(vocab))
    def forward(self, x):
        h, _ = self.r(self.e(x))
        return self.o(h)
m = M()
opt = torch.optim.Adam(m.parameters(), 3e-3)
for s in range(400):
    ix = torch.randint(0, len(ids) - 33, (32,))
    b = torch.stack([ids[i:i+33] for i in ix])
    loss = nn.functional.cross_entropy(m(b[:, :-1]).flatten(0, 1), b[:, 1:].flatten())
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(m.parameters(), 1.0)
    opt.step()
    if s % 50 == 0: print(s, loss.item())
print("final", loss.item())
