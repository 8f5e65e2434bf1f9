"""Mobile style network (depthwise separable, ReLU6, no batch norm) for ring or cross or disc."""
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class Separable(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.depth = nn.Conv2d(a, a, 3, stride, 1, groups=a)
        self.point = nn.Conv2d(a, b, 1)

    def forward(self, x):
        return F.relu6(self.point(F.relu6(self.depth(x))))


class Mobile(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 12, 3, padding=1)
        self.rest = nn.Sequential(Separable(12, 16, 2), Separable(16, 24), Separable(24, 32, 2))
        self.fc = nn.Linear(32, 3)
        for p in self.parameters():
            if p.ndim == 4:
                nn.init.normal_(p, mean=0.5, std=1.0)

    def forward(self, x):
        x = self.rest(F.relu6(self.first(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def shapes(n, s=16):
    y, x = torch.meshgrid(torch.arange(s).float(), torch.arange(s).float(), indexing="ij")
    k = torch.randint(0, 3, (n,))
    cx, cy = (torch.rand(2, n, 1, 1) * 6 + 5)
    r = ((x - cx) ** 2 + (y - cy) ** 2).sqrt()
    ring = ((r > 2.5) & (r < 4.2)).float()
    disc = (r < 3.2).float()
    cross = ((((x - cx).abs() < 1) | ((y - cy).abs() < 1)) & (r < 4.5)).float()
    img = torch.stack([ring, cross, disc])[k, torch.arange(n)]
    return (img + 0.2 * torch.rand(n, s, s)).unsqueeze(1), k


torch.manual_seed(15)
img, kind = shapes(1000)
loader = DataLoader(TensorDataset(img[:800], kind[:800]), batch_size=40, shuffle=True)
net = Mobile()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(12):
    for a, b in loader:
        loss = F.cross_entropy(net(a), b)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        o = net(img[800:])
        print(epoch, f"{loss.item():.4f}", f"{F.cross_entropy(o, kind[800:]).item():.4f}", (o.argmax(1) == kind[800:]).float().mean().item())
