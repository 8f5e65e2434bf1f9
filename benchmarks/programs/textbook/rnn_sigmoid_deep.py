"""Hand-written GRU-like cell whose update gate starts shut; parity-like majority over a stream."""
import argparse, torch
from torch import nn

class Gated(nn.Module):
    def __init__(self, n_in, n):
        super().__init__()
        self.z = nn.Linear(n_in + n, n)
        self.c = nn.Linear(n_in + n, n)
        nn.init.constant_(self.z.bias, 5.0)   # z near one: the state is overwritten at every step
        self.n = n

    def forward(self, seq):
        h = seq.new_zeros(len(seq), self.n)
        for x in seq.unbind(1):
            both = torch.cat([x, h], 1)
            z = torch.sigmoid(self.z(both))
            h = (1 - z) * h + z * torch.tanh(self.c(both))
        return h

class First(nn.Module):
    def __init__(self):
        super().__init__()
        self.core = Gated(5, 40)
        self.head = nn.Linear(40, 4)
    def forward(self, b):
        return {"scores": self.head(self.core(b["seq"]))}

def get(n, t):
    y = torch.randint(0, 4, (n,))
    s = torch.zeros(n, t, 5)
    s[torch.arange(n), torch.randint(0, 3, (n,)), y] = 1
    s[..., 4] = torch.randn(n, t) * 0.3
    return {"seq": s, "y": y}

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--t", type=int, default=28)
    p.add_argument("--n", type=int, default=400)
    a = p.parse_args()
    torch.manual_seed(5)
    m = First()
    o = torch.optim.Adam(m.parameters(), lr=3e-3)
    for i in range(a.n):
        b = get(40, a.t)
        l = nn.functional.cross_entropy(m(b)["scores"], b["y"])
        o.zero_grad(); l.backward(); o.step()
        if i % 40 == 0: print(i, l.item())
    print("final", l.item())
main()
