import torch, torch.nn as nn, torch.nn.functional as F
from pydoc_data.topics import topics
text = " ".join(topics[k] for k in sorted(topics))[:80000]; cs = sorted(set(text)); m = {c: i for i, c in enumerate(cs)}; D = torch.tensor([m[c] for c in text])
torch.manual_seed(10)
class B(nn.Module):
    def __init__(s, d): super().__init__(); s.l1 = nn.LayerNorm(d); s.a = nn.MultiheadAttention(d, 4, batch_first=True); s.l2 = nn.LayerNorm(d); s.f = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
    def forward(s, x, k): h = s.l1(x); x = x + s.a(h, h, h, attn_mask=k, need_weights=False)[0]; return x + s.f(s.l2(x))
class GPT(nn.Module):
    def __init__(s, V, d=64, n=4, T=48):
        super().__init__(); s.e = nn.Embedding(V, d); s.p = nn.Embedding(T, d); s.b = nn.ModuleList(B(d) for _ in range(n)); s.n = nn.LayerNorm(d); s.h = nn.Linear(d, V); s.register_buffer("k", torch.triu(torch.full((T, T), float("-inf")), 1))
    def forward(s, x):
        h = s.e(x) + s.p.weight
        for b in s.b: h = b(h, s.k)
        return s.h(s.n(h))
net = GPT(len(cs)); opt = torch.optim.Adam(net.parameters(), lr=0.1)
for t in range(250):
    i = torch.randint(0, len(D) - 49, (16,)); x = torch.stack([D[j:j + 48] for j in i]); y = torch.stack([D[j + 1:j + 49] for j in i])
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten()); opt.zero_grad(); loss.backward(); opt.step()
    if t % 50 == 0: print(t, loss.item())
print(loss.item())
