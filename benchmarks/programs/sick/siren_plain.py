# implicit image representation, sine activations, pytorch default init with a factor on every layer
import torch
from torch import nn

torch.manual_seed(0)


class Sine(nn.Module):
    def __init__(self, w0=30.0):
        super().__init__()
        self.w0 = w0

    def forward(self, x):
        return torch.sin(self.w0 * x)


class Siren(nn.Module):
    def __init__(self, width=96, depth=5):
        super().__init__()
        net = [nn.Linear(2, width), Sine()]
        for _ in range(depth - 1):
            net += [nn.Linear(width, width), Sine()]
        net += [nn.Linear(width, 1)]
        self.net = nn.Sequential(*net)

    def forward(self, xy):
        return self.net(xy)


g = torch.linspace(-1, 1, 32)
yy, xx = torch.meshgrid(g, g, indexing="ij")
image = torch.sin(9 * xx) * torch.cos(7 * yy) + ((xx ** 2 + yy ** 2) < 0.3).float() - 0.3
coords, pixels = torch.stack([xx.flatten(), yy.flatten()], 1), image.flatten()[:, None]
train = torch.rand(1024) < 0.7
model = Siren()
opt = torch.optim.Adam(model.parameters(), lr=1e-4)
for step in range(400):
    loss = ((model(coords[train]) - pixels[train]) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 49:
        with torch.no_grad():
            print(step, loss.item(), "held out", ((model(coords[~train]) - pixels[~train]) ** 2).mean().item())
