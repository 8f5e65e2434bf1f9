"""Half precision MLP on spirals: weights, data and loss in float16 on the CPU."""
import math
import torch
import torch.nn as nn

torch.manual_seed(0)
N = 900
t = torch.rand(N) * 3 * math.pi + 0.5
c = torch.randint(0, 3, (N,))
ang = t + c * 2 * math.pi / 3
X = torch.stack([t * torch.cos(ang), t * torch.sin(ang)], 1) / 4 + 0.03 * torch.randn(N, 2)
X, c = X.half(), c


class Net(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.a = nn.Linear(2, h)
        self.b = nn.Linear(h, h)
        self.c = nn.Linear(h, h)
        self.d = nn.Linear(h, 3)

    def forward(self, x):
        for l in (self.a, self.b, self.c):
            x = torch.relu(l(x))
        return self.d(x)


net = Net().half()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(800):
    i = torch.randint(0, N, (64,))
    loss = nn.functional.cross_entropy(net(X[i]), c[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0 or step == 799:
        print(step, loss.item(), (net(X).argmax(1) == c).float().mean().item())
