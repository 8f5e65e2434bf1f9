"""LSTM forecaster in float16 with a sum-of-squares loss: the loss is scaled down so far that gradients underflow."""
import math
import torch
from torch import nn
torch.manual_seed(21)
DT = torch.float16

class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 32, num_layers=1, batch_first=True)
        self.out = nn.Linear(32, 1)
    def forward(self, x):
        return self.out(self.rnn(x)[0]).squeeze(-1)

def waves(n, t=24):
    f = 0.2 + 0.6 * torch.rand(n, 1)
    p = 2 * math.pi * torch.rand(n, 1)
    s = torch.sin(f * torch.arange(t + 1) + p)
    return s[:, :-1, None].to(DT), s[:, 1:].to(DT)

net = Forecast().to(DT)
opt = torch.optim.SGD(net.parameters(), lr=30000.0)
for step in range(400):
    x, y = waves(64)
    loss = ((net(x) - y) ** 2).mean() * 1e-5
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(step, loss.item() * 1e5)
print("final", loss.item() * 1e5)
