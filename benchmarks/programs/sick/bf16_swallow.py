import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(11)
DTYPE = torch.bfloat16

d = load_digits()
x = torch.tensor(d.images / 16.0).view(-1, 64)
x = (x - x.mean()) / x.std()
y = torch.tensor(d.target)
perm = torch.randperm(len(x))
x, y = x[perm].to(DTYPE), y[perm]
xtr, ytr, xte, yte = x[:1400], y[:1400], x[1400:], y[1400:]


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.a = nn.Linear(d, 2 * d)
        self.b = nn.Linear(2 * d, d)

    def forward(self, x):
        return x + self.b(F.gelu(self.a(self.norm(x))))


net = nn.Sequential(nn.Linear(64, 96), *[Block(96) for _ in range(4)], nn.LayerNorm(96), nn.Linear(96, 10)).to(DTYPE)
optimizer = torch.optim.SGD(net.parameters(), lr=1.5e-4, momentum=0.9)

for it in range(900):
    idx = torch.randint(0, len(xtr), (64,))
    loss = F.cross_entropy(net(xtr[idx]).float(), ytr[idx])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if (it + 1) % 100 == 0:
        print("it", it + 1, "loss", round(loss.item(), 4))

with torch.no_grad():
    logits = net(xte).float()
    print("test loss", F.cross_entropy(logits, yte).item(), "acc", (logits.argmax(-1) == yte).float().mean().item())
