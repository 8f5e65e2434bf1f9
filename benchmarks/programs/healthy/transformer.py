"""Sorting digits with a small post-norm transformer encoder."""
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--d-model", type=int, default=48)
parser.add_argument("--heads", type=int, default=4)
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--lr", type=float, default=1e-3)
cfg = parser.parse_args()

torch.manual_seed(20)
LEN, VOCAB = 10, 10


class SortNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, cfg.d_model)
        self.pos = nn.Parameter(torch.randn(LEN, cfg.d_model))
        layer = nn.TransformerEncoderLayer(cfg.d_model, cfg.heads, 4 * cfg.d_model, dropout=0.0, batch_first=True)
        self.enc = nn.TransformerEncoder(layer, cfg.layers)
        self.out = nn.Linear(cfg.d_model, VOCAB)

    def forward(self, x):
        return self.out(self.enc(self.tok(x) + self.pos))


model = SortNet()
opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
for step in range(cfg.steps):
    x = torch.randint(0, VOCAB, (32, LEN))
    y = x.sort(1).values
    loss = F.cross_entropy(model(x).transpose(1, 2), y)
    for g in opt.param_groups:
        g["lr"] = cfg.lr * min(1.0, (step + 1) / 100)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 60 == 0:
        print("step", step, "loss", f"{loss.item():.4f}")
with torch.no_grad():
    x = torch.randint(0, VOCAB, (500, LEN))
    y = x.sort(1).values
    out = model(x)
    print("eval loss", F.cross_entropy(out.transpose(1, 2), y).item(), "token accuracy", (out.argmax(-1) == y).float().mean().item())
