"""Photon counts: images of up to 3000 counts, float16 autocast without care for its range."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class CountNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList([nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        for c in self.conv:
            x = torch.relu(c(x))
        return self.head(x.sum((2, 3)) / 1000)


def images(n, size=12):
    y = torch.randint(0, 3, (n,))
    width = torch.tensor([1.0, 2.0, 3.5])[y]
    g = torch.arange(size).float()
    cx = torch.rand(n) * 4 + 4
    cy = torch.rand(n) * 4 + 4
    r2 = (g[None, :, None] - cx[:, None, None]) ** 2 + (g[None, None, :] - cy[:, None, None]) ** 2
    flux = 60000 + 20000 * torch.rand(n)
    rate = flux[:, None, None] / (6.28 * width[:, None, None] ** 2) * torch.exp(-r2 / (2 * width[:, None, None] ** 2))
    return torch.poisson(rate).unsqueeze(1), y


torch.manual_seed(19)
x, y = images(600)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = CountNet()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(9):
    for xb, yb in loader:
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(xb)
        loss = nn.functional.cross_entropy(out.float(), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    out = model(x)
    print("final loss", nn.functional.cross_entropy(out, y).item(), "accuracy", (out.argmax(1) == y).float().mean().item())
