"""1-d CNN in pure float16: predicts the frequency of a chirp; Adam's second moment underflows."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(14)
DTYPE = torch.float16


class Chirp(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.a = nn.Conv1d(1, ch, 7, stride=2)
        self.b = nn.Conv1d(ch, ch, 5, stride=2)
        self.c = nn.Linear(ch * 6, 40)
        self.d = nn.Linear(40, 1)

    def forward(self, x):
        x = F.gelu(self.a(x))
        x = F.gelu(self.b(x))
        return self.d(F.gelu(self.c(x.flatten(1)))).squeeze(-1)


def data(n):
    f = torch.rand(n) * 2 - 1
    t = torch.linspace(0, 1, 36)
    x = torch.sin((8 + 5 * f)[:, None] * t + 6.28 * torch.rand(n, 1))
    return x[:, None].to(DTYPE), f.to(DTYPE)


net = Chirp().to(DTYPE)
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
for step in range(400):
    x, f = data(64)
    loss = F.smooth_l1_loss(net(x), f)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
x, f = data(500)
with torch.no_grad():
    print("final smooth-l1", F.smooth_l1_loss(net(x), f).item())
