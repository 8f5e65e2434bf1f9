"""Transformer encoder (post-LN as in the original paper) that must say which token occurs most often."""
import torch
import torch.nn as nn

torch.manual_seed(0)
VOCAB, T, D, L = 8, 12, 32, 18


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, D)
        self.pos = nn.Parameter(torch.randn(1, T, D) * 0.02)
        layer = nn.TransformerEncoderLayer(D, 4, 4 * D, dropout=0.0, batch_first=True, norm_first=False)
        self.enc = nn.TransformerEncoder(layer, L, enable_nested_tensor=False)
        self.cls = nn.Linear(D, VOCAB)

    def forward(self, s):
        return self.cls(self.enc(self.tok(s) + self.pos).mean(1))


def batch(n):
    # one token is planted so the answer is unambiguous
    s = torch.randint(0, VOCAB, (n, T))
    y = torch.randint(0, VOCAB, (n,))
    plant = torch.rand(n, T).argsort(1)[:, :5]
    s.scatter_(1, plant, y[:, None].expand(-1, 5))
    return s, torch.nn.functional.one_hot(s, VOCAB).sum(1).argmax(1)


model = Counter()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
crit = nn.CrossEntropyLoss()
for step in range(200):
    s, y = batch(24)
    loss = crit(model(s), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0 or step == 199:
        print(step, round(loss.item(), 4))
model.eval()
s, y = batch(500)
with torch.no_grad():
    print("acc", (model(s).argmax(1) == y).float().mean().item())
