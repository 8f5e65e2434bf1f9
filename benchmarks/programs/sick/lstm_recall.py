import argparse
import math

import torch
from torch import nn
import torch.nn.functional as F


class MyLSTM(nn.Module):
    """LSTM written out gate by gate."""

    def __init__(self, n_in, n_hid):
        super().__init__()
        self.n_hid = n_hid
        self.W_f = nn.Linear(n_in + n_hid, n_hid)
        self.W_i = nn.Linear(n_in + n_hid, n_hid)
        self.W_o = nn.Linear(n_in + n_hid, n_hid)
        self.W_c = nn.Linear(n_in + n_hid, n_hid)
        for lin in (self.W_f, self.W_i, self.W_o, self.W_c):
            nn.init.normal_(lin.weight, 0, 0.02)
            nn.init.constant_(lin.bias, -2.0)

    def forward(self, seq):
        b = seq.size(1)
        h = seq.new_zeros(b, self.n_hid)
        c = seq.new_zeros(b, self.n_hid)
        for x in seq:
            z = torch.cat([x, h], dim=1)
            f = torch.sigmoid(self.W_f(z))
            i = torch.sigmoid(self.W_i(z))
            o = torch.sigmoid(self.W_o(z))
            g = torch.tanh(self.W_c(z))
            c = f * c + i * g
            h = o * torch.tanh(c)
        return h


class Recall(nn.Module):
    def __init__(self, n_sym, n_hid):
        super().__init__()
        self.n_sym = n_sym
        self.lstm = MyLSTM(n_sym, n_hid)
        self.out = nn.Linear(n_hid, n_sym)

    def forward(self, ids):
        x = F.one_hot(ids, self.n_sym).float().transpose(0, 1)
        return self.out(self.lstm(x))


def batch(n, length, n_sym, gen):
    ids = torch.randint(n_sym // 2, n_sym, (n, length), generator=gen)
    y = torch.randint(0, n_sym // 2, (n,), generator=gen)
    ids[:, 0] = y
    return ids, y


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--length", type=int, default=30)
    ap.add_argument("--symbols", type=int, default=16)
    ap.add_argument("--hidden", type=int, default=64)
    ap.add_argument("--steps", type=int, default=500)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--seed", type=int, default=3)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    gen = torch.Generator().manual_seed(args.seed)
    net = Recall(args.symbols, args.hidden)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    for step in range(args.steps):
        x, y = batch(32, args.length, args.symbols, gen)
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(step, round(loss.item(), 4))
    x, y = batch(512, args.length, args.symbols, gen)
    with torch.no_grad():
        out = net(x)
    print("final loss", F.cross_entropy(out, y).item(), "acc", (out.argmax(1) == y).float().mean().item(),
          "chance", math.log(args.symbols // 2))


if __name__ == "__main__":
    main()
