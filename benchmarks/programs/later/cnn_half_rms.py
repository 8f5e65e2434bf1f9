"""Where is the peak? A float16 1-d convolutional regressor."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def peaks(n, length=32):
    pos = torch.rand(n, 1) * 1.6 - 0.8
    grid = torch.linspace(-1, 1, length)
    wave = torch.exp(-((grid - pos) / 0.12) ** 2) - 0.5 * torch.exp(-((grid + pos) / 0.3) ** 2)
    return (wave + 0.15 * torch.randn(n, length)).unsqueeze(1), pos


class PeakNet(nn.Module):
    def __init__(self, channels=(8, 12, 16)):
        super().__init__()
        stages, last = [], 1
        for c in channels:
            stages.append(nn.Sequential(nn.Conv1d(last, c, 4, stride=2, padding=1), nn.LeakyReLU(0.05)))
            last = c
        self.stages = nn.ModuleList(stages)
        self.readout = nn.Linear(last * 4, 1)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.readout(x.flatten(start_dim=1))


precision = torch.float16
torch.manual_seed(23)
x, t = (v.to(precision) for v in peaks(700))
loader = DataLoader(TensorDataset(x[:600], t[:600]), batch_size=15, shuffle=True, drop_last=True)
model = PeakNet().to(precision)
opt = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.95)
criterion = nn.SmoothL1Loss()
for epoch in range(8):
    running = 0.0
    for xb, tb in loader:
        opt.zero_grad()
        loss = criterion(model(xb), tb)
        loss.backward()
        opt.step()
        running += float(loss) / len(loader)
    with torch.no_grad():
        v = criterion(model(x[600:]), t[600:])
    print(f"epoch {epoch}: train {running:.5f} valid {float(v):.5f}")
