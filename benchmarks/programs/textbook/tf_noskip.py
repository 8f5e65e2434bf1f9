import math, torch, torch.nn as nn, torch.nn.functional as F
torch.manual_seed(6)
class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__(); self.h = h; self.qkv = nn.Linear(d, 3 * d); self.proj = nn.Linear(d, d); self.up = nn.Linear(d, 4 * d); self.down = nn.Linear(4 * d, d)
    def forward(self, x):
        B, T, D = x.shape; q, k, v = (t.view(B, T, self.h, -1).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        a = (q @ k.transpose(-2, -1) / math.sqrt(D // self.h)).softmax(-1) @ v
        x = self.proj(a.transpose(1, 2).reshape(B, T, D))
        return self.down(F.gelu(self.up(x)))
class Net(nn.Module):
    def __init__(self, V=10, d=64, n=8):
        super().__init__(); self.e = nn.Embedding(V, d); self.p = nn.Embedding(20, d); self.blocks = nn.ModuleList(Block(d, 4) for _ in range(n)); self.o = nn.Linear(d, V)
    def forward(self, x):
        h = self.e(x) + self.p(torch.arange(x.shape[1]))
        for b in self.blocks: h = b(h)
        return self.o(h)
m = Net(); opt = torch.optim.AdamW(m.parameters(), lr=5e-4)
for s in range(400):
    x = torch.randint(0, 10, (48, 20)); loss = F.cross_entropy(m(x).transpose(1, 2), x.flip(1)); opt.zero_grad(); loss.backward(); opt.step()
    if s % 80 == 0: print(s, loss.item())
print(loss.item())
