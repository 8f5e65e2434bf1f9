"""Is the sequence a palindrome? Eight attention blocks without residual connections."""
import torch
import torch.nn as nn

torch.manual_seed(111)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.attn = nn.MultiheadAttention(d, 4, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        x = self.attn(x, x, x)[0]
        return self.mlp(x)


class Model(nn.Module):
    def __init__(self, d=32, n=8):
        super().__init__()
        self.tok = nn.Embedding(6, d)
        self.pos = nn.Parameter(torch.randn(10, d))
        self.blocks = nn.ModuleList([Block(d) for _ in range(n)])
        self.head = nn.Linear(d, 6)

    def forward(self, ids):
        x = self.tok(ids) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def data(n):
    ids = torch.randint(0, 6, (n, 10))
    return ids, ids.flip(1)


model = Model()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(350):
    ids, want = data(48)
    loss = nn.functional.cross_entropy(model(ids).flatten(0, 1), want.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 70 == 0:
        print(step, loss.item())
