"""Post-LN encoder, 14 layers: which key's value is asked for."""
import argparse
import torch
from torch import nn

def make(n, pairs, g):
    keys = torch.stack([torch.randperm(12, generator=g)[:pairs] for _ in range(n)])
    vals = torch.randint(0, 4, (n, pairs), generator=g)
    seq = torch.stack([keys, vals + 12], -1).flatten(1)
    # majority of the values
    y = nn.functional.one_hot(vals, 4).sum(1).argmax(1)
    return seq, y

class Net(nn.Module):
    def __init__(self, depth, d, heads):
        super().__init__()
        self.emb = nn.Embedding(16, d)
        self.pos = nn.Parameter(torch.randn(1, 12, d) * 0.02)
        layer = nn.TransformerEncoderLayer(d, heads, 2 * d, dropout=0.0, batch_first=True, norm_first=False)
        self.enc = nn.TransformerEncoder(layer, depth)
        self.out = nn.Linear(d, 4)
    def forward(self, s):
        return self.out(self.enc(self.emb(s) + self.pos).mean(1))

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--depth", type=int, default=12)
    ap.add_argument("--steps", type=int, default=260)
    ap.add_argument("--lr", type=float, default=1.2e-2)
    args = ap.parse_args()
    torch.manual_seed(2)
    g = torch.Generator().manual_seed(40)
    net = Net(args.depth, 32, 4)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    run = 0.0
    for i in range(args.steps):
        s, y = make(32, 6, g)
        loss = nn.functional.cross_entropy(net(s), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        run = loss.item() if i == 0 else 0.95 * run + 0.05 * loss.item()
        if i % 26 == 0:
            print(i, round(run, 4))
    print("smoothed loss", run)
    net.eval()
    with torch.no_grad():
        s, y = make(400, 6, g)
        print("acc", (net(s).argmax(1) == y).float().mean().item())

main()
