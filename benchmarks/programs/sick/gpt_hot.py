"""post-LN decoder on bytes of the help text, Adam at 1e-2 without warm-up"""
import torch, torch.nn as nn
from pydoc_data.topics import topics
torch.manual_seed(0)
data = torch.tensor(list("".join(topics.values()).encode()[:120000]))
T, D = 24, 48
class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.p = nn.Embedding(256, D), nn.Embedding(T, D)
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(D, 4, 128, dropout=0.1, batch_first=True) for _ in range(6)])
        self.out = nn.Linear(D, 256)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(T))
    def forward(self, x):
        h = self.e(x) + self.p.weight
        for l in self.layers:
            h = l(h, src_mask=self.mask)
        return self.out(h)
lm = LM(); opt = torch.optim.Adam(lm.parameters(), lr=1e-2)
for s in range(300):
    o = torch.randint(len(data) - T - 1, (16,))
    x = torch.stack([data[k:k + T] for k in o]); y = torch.stack([data[k + 1:k + T + 1] for k in o])
    loss = nn.functional.cross_entropy(lm(x).transpose(1, 2), y)
    opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 49: print(s, loss.item())
