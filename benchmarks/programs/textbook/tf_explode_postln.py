"""Sort short sequences with a stack of attention blocks without any norm, drawn too large."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.proj = nn.Linear(d, d)
        self.ff1 = nn.Linear(d, 3 * d)
        self.ff2 = nn.Linear(3 * d, d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(x).chunk(3, -1))
        a = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, d)
        x = x + self.proj(a)
        return x + self.ff2(F.relu(self.ff1(x)))


class Sorter(nn.Module):
    def __init__(self, vocab=10, length=10, d=40, depth=5):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.pos = nn.Embedding(length, d)
        self.blocks = nn.ModuleList(Block(d, 2) for _ in range(depth))
        self.head = nn.Linear(d, vocab)
        self.apply(self.reset)

    def reset(self, m):
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.45)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        h = self.embed(x) + self.pos.weight
        for block in self.blocks:
            h = block(h)
        return self.head(h)


torch.manual_seed(17)
net = Sorter()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 300)
for step in range(300):
    x = torch.randint(0, 10, (48, 10))
    loss = F.cross_entropy(net(x).transpose(1, 2), x.sort(1).values)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 50 == 0:
        print(f"{step} loss {loss.item():.3f}")
with torch.no_grad():
    x = torch.randint(0, 10, (500, 10))
    print("final loss", F.cross_entropy(net(x).transpose(1, 2), x.sort(1).values).item())
