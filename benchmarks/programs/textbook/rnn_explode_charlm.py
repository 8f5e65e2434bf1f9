import torch, torch.nn as nn
from pydoc_data.topics import topics
text = "".join(topics.values())[:100000]; chars = sorted(set(text)); ix = {c: i for i, c in enumerate(chars)}; data = torch.tensor([ix[c] for c in text])
torch.manual_seed(9)
class LM(nn.Module):
    def __init__(self, v, h=128):
        super().__init__(); self.emb = nn.Embedding(v, 32); self.rnn = nn.RNN(32, h, nonlinearity="relu", batch_first=True); self.out = nn.Linear(h, v)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.25)
    def forward(self, x): y, _ = self.rnn(self.emb(x)); return self.out(y)
m = LM(len(chars)); opt = torch.optim.SGD(m.parameters(), lr=0.1)
for s in range(300):
    i = torch.randint(0, len(data) - 61, (24,)); x = torch.stack([data[j:j + 60] for j in i]); y = torch.stack([data[j + 1:j + 61] for j in i])
    loss = nn.functional.cross_entropy(m(x).transpose(1, 2), y); opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 0: print(s, loss.item())
print("final", loss.item())
