"""ViT on 8x8 digits, written from scratch with einsum."""
import torch
from torch import nn, einsum
from sklearn.datasets import load_digits

torch.manual_seed(2024)


class Attention(nn.Module):
    def __init__(self, dim, heads=4, dim_head=16):
        super().__init__()
        inner = heads * dim_head
        self.heads = heads
        self.to_qkv = nn.Linear(dim, inner * 3, bias=False)
        self.to_out = nn.Linear(inner, dim)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = (t.reshape(b, n, self.heads, -1).transpose(1, 2) for t in self.to_qkv(x).chunk(3, dim=-1))
        attn = einsum("bhid,bhjd->bhij", q, k).softmax(dim=-1)   # no 1/sqrt(d)
        return self.to_out(einsum("bhij,bhjd->bhid", attn, v).transpose(1, 2).reshape(b, n, -1))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x):
        return self.net(x)


class ViT(nn.Module):
    def __init__(self, dim=64, depth=10, mlp_dim=128, classes=10):
        super().__init__()
        self.patch = nn.Linear(4, dim)
        self.cls = nn.Parameter(torch.randn(1, 1, dim))
        self.pos = nn.Parameter(torch.randn(1, 17, dim))
        self.layers = nn.ModuleList([nn.ModuleList([Attention(dim), FeedForward(dim, mlp_dim)]) for _ in range(depth)])
        self.head = nn.Linear(dim, classes)

    def forward(self, img):
        b = img.size(0)
        p = img.reshape(b, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).reshape(b, 16, 4)
        x = torch.cat([self.cls.expand(b, -1, -1), self.patch(p)], 1) + self.pos
        for attn, ff in self.layers:
            x = attn(x)          # residuals and norms were left out
            x = ff(x)
        return self.head(x[:, 0])


d = load_digits()
X = torch.tensor(d.images / 16.0, dtype=torch.float32)
Y = torch.tensor(d.target)
p = torch.randperm(len(Y))
X, Y = X[p], Y[p]
vit = ViT()
optimizer = torch.optim.AdamW(vit.parameters(), lr=1e-3, weight_decay=0.01)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
lossf = nn.CrossEntropyLoss()
step = 0
while step < 300:
    for i in range(0, 1400, 32):
        loss = lossf(vit(X[i:i + 32]), Y[i:i + 32])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sched.step()
        step += 1
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.4f}")
        if step == 300:
            break
with torch.no_grad():
    print("test acc", (vit(X[1400:]).argmax(-1) == Y[1400:]).float().mean().item())
