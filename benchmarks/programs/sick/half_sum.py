"""LSTM autoencoder of sensor traces in half precision; squared error summed over the batch."""
import math
import torch
import torch.nn as nn

torch.manual_seed(6)
DEV_DTYPE = torch.float16
T = 24


def traces(n):
    t = torch.arange(T) / T
    a = 20 + 30 * torch.rand(n, 1)
    f = 1 + 2 * torch.rand(n, 1)
    return a * torch.sin(2 * math.pi * (f * t + torch.rand(n, 1)))


class AE(nn.Module):
    def __init__(self, h=64, code=8):
        super().__init__()
        self.enc = nn.LSTM(1, h, batch_first=True)
        self.code = nn.Linear(h, code)
        self.dec = nn.LSTM(code, h, batch_first=True)
        self.out = nn.Linear(h, 1)

    def forward(self, x):
        _, (h, _) = self.enc(x / 50)
        z = self.code(h[-1])
        y, _ = self.dec(z.unsqueeze(1).expand(-1, x.shape[1], -1))
        return 50 * self.out(y)


data = traces(1000).unsqueeze(-1).to(DEV_DTYPE)
model = AE().to(DEV_DTYPE)
opt = torch.optim.Adam(model.parameters(), lr=3e-3, eps=1e-4)
for step in range(400):
    x = data[torch.randint(0, 1000, (64,))]
    rec = model(x)
    loss = ((rec - x) ** 2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("mse", ((model(data) - data).float() ** 2).mean().item(), "variance", data.float().var().item())
