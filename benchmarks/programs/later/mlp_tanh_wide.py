"""Fit a product of sines with a wide tanh network."""
import torch
from torch import nn


class SineNet(nn.Module):
    def __init__(self, width=180, depth=7):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, 1)
        self.act = nn.Tanh()
        self.reset()

    def reset(self):
        for name, p in self.named_parameters():
            if name.endswith("weight") and not name.startswith("last"):
                nn.init.normal_(p, 0.0, 2.0)

    def forward(self, x):
        h = self.act(self.first(x))
        for lin in self.middle:
            h = self.act(lin(h))
        return self.last(h)


torch.manual_seed(4)
x = torch.rand(2000, 3) * 2 - 1
t = (torch.sin(3 * x[:, :1]) * torch.cos(2 * x[:, 1:2]) + 0.5 * x[:, 2:])
t = (t - t.mean()) / t.std()
net = SineNet()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=600)
for i in range(600):
    b = torch.randint(0, 1600, (64,))
    loss = (net(x[b]) - t[b]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if i % 60 == 0:
        print(i, loss.item())
print("validation mse", (net(x[1600:]) - t[1600:]).pow(2).mean().item())
