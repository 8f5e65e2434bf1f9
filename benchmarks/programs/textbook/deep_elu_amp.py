"""Thirty narrow tanh layers under bfloat16 autocast, dict batches: which season is it? Vanishing."""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Weather(Dataset):
    def __init__(self, n):
        self.day = torch.rand(n) * 365
        a = self.day / 365 * 6.283
        self.x = torch.stack([torch.sin(a) * 10 + 12, torch.cos(a) * 4 + 8, torch.sin(a + 1) * 20 + 60], 1) + torch.randn(n, 3)
        self.x = (self.x - self.x.mean(0)) / self.x.std(0)
        self.season = (self.day / 91.25).long().clamp(max=3)

    def __len__(self):
        return len(self.day)

    def __getitem__(self, i):
        return {"features": self.x[i], "season": self.season[i]}


class DeepNet(nn.Module):
    def __init__(self, depth=30, width=40):
        super().__init__()
        self.inp = nn.Linear(3, width)
        self.mid = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
        self.out = nn.Linear(width, 4)

    def forward(self, features, season=None):
        h = torch.tanh(self.inp(features))
        for m in self.mid:
            h = torch.tanh(m(h))
        logits = self.out(h)
        if season is None:
            return {"logits": logits}
        return {"logits": logits, "loss": nn.functional.cross_entropy(logits.float(), season)}


torch.manual_seed(28)
data = Weather(2400)
model = DeepNet()
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, nesterov=True)
warm = torch.optim.lr_scheduler.LinearLR(opt, 0.1, total_iters=50)
for epoch in range(10):
    for batch in DataLoader(data, batch_size=48, shuffle=True):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(**batch)
        opt.zero_grad()
        out["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        warm.step()
    print("epoch", epoch, "loss", out["loss"].item())
with torch.no_grad():
    out = model(data.x, data.season)
print("final loss", out["loss"].item())
