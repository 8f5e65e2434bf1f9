from dataclasses import dataclass
import torch, torch.nn as nn
@dataclass
class Cfg:
    layers: int = 24; d: int = 48; heads: int = 4; T: int = 16; vocab: int = 12; lr: float = 2e-3; steps: int = 250; bs: int = 32
cfg = Cfg(); torch.manual_seed(1)
class Sorter(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.tok = nn.Embedding(c.vocab, c.d); self.pos = nn.Parameter(torch.randn(c.T, c.d) * 0.02)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(c.d, c.heads, 4 * c.d, dropout=0.0, batch_first=True, norm_first=False), c.layers)
        self.head = nn.Linear(c.d, c.vocab)
    def forward(self, x): return self.head(self.enc(self.tok(x) + self.pos))
net = Sorter(cfg); opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
for s in range(cfg.steps):
    x = torch.randint(0, cfg.vocab, (cfg.bs, cfg.T)); y = x.sort(1).values
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten()); opt.zero_grad(); loss.backward(); opt.step()
    if s % 50 == 0: print(s, loss.item())
print("loss", loss.item())
