"""GRU from scratch (ModuleList of cells) on the delayed-XOR task."""
import torch
from torch import nn


class GRUCellScratch(nn.Module):
    def __init__(self, n_in, n_h):
        super().__init__()
        p = lambda *s: nn.Parameter(torch.randn(*s))
        self.Wz, self.Uz, self.bz = p(n_in, n_h), p(n_h, n_h), nn.Parameter(torch.zeros(n_h))
        self.Wr, self.Ur, self.br = p(n_in, n_h), p(n_h, n_h), nn.Parameter(torch.zeros(n_h))
        self.Wn, self.Un, self.bn = p(n_in, n_h), p(n_h, n_h), nn.Parameter(torch.zeros(n_h))

    def forward(self, x, h):
        z = torch.sigmoid(x @ self.Wz + h @ self.Uz + self.bz)
        r = torch.sigmoid(x @ self.Wr + h @ self.Ur + self.br)
        n = torch.tanh(x @ self.Wn + (r * h) @ self.Un + self.bn)
        return (1 - z) * n + z * h


class ScratchGRU(nn.Module):
    def __init__(self, n_in, n_h, n_out, layers):
        super().__init__()
        self.cells = nn.ModuleList([GRUCellScratch(n_in if i == 0 else n_h, n_h) for i in range(layers)])
        self.drop = nn.Dropout(0.1)
        self.V = nn.Linear(n_h, n_out)

    def forward(self, x):
        hs = [x.new_zeros(x.shape[0], c.Uz.shape[0]) for c in self.cells]
        ys = []
        for t in range(x.shape[1]):
            inp = x[:, t]
            for k, cell in enumerate(self.cells):
                hs[k] = cell(inp, hs[k])
                inp = self.drop(hs[k])
            ys.append(self.V(inp))
        return torch.stack(ys, 1)


def task(n, T=16, lag=3):
    bits = torch.randint(0, 2, (n, T))
    y = bits.clone()
    y[:, lag:] = bits[:, lag:] ^ bits[:, :-lag]
    return nn.functional.one_hot(bits, 2).float(), y


torch.manual_seed(14)
net = ScratchGRU(2, 96, 2, 2)
opt = torch.optim.Adam(net.parameters(), lr=1e-3, weight_decay=1e-5)
loss_fn = nn.CrossEntropyLoss()
for step in range(500):
    x, y = task(64)
    net.train()
    loss = loss_fn(net(x).transpose(1, 2), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(f"{step:5d} {loss.item():.4f}")
net.eval()
with torch.no_grad():
    x, y = task(500)
    o = net(x)
    print("test", loss_fn(o.transpose(1, 2), y).item(), "acc", (o.argmax(-1) == y).float().mean().item())
