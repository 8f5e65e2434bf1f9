"""Float16 autocast with a loss scale of 2**26 by hand; a step with gradients that are not finite is left out."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(55)
SCALE = 2.0 ** 26


def rings(n, size=12):
    y = torch.randint(0, 4, (n,))
    g = torch.linspace(-1, 1, size)
    r = (g[:, None] ** 2 + g[None, :] ** 2).sqrt()
    radius = (0.2 + 0.22 * y)[:, None, None]
    return (torch.exp(-((r - radius) ** 2) / 0.02) + 0.4 * torch.randn(n, size, size)).unsqueeze(1), y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.b = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.fc = nn.Linear(16 * 9, 4)

    def forward(self, x):
        return self.fc(F.relu(self.b(F.relu(self.a(x)))).flatten(1))


x, y = rings(1000)
model = Net()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
skipped = 0
for step in range(250):
    i = torch.randint(0, 1000, (32,))
    with torch.autocast(device_type="cpu", dtype=torch.float16):
        logits = model(x[i])
    loss = F.cross_entropy(logits.float(), y[i])
    opt.zero_grad()
    (loss * SCALE).backward()
    for p in model.parameters():
        p.grad /= SCALE
    if all(torch.isfinite(p.grad).all() for p in model.parameters()):
        opt.step()
    else:
        skipped += 1
    if step % 50 == 0:
        print(step, loss.item(), "skipped", skipped)
with torch.no_grad():
    print("final loss", F.cross_entropy(model(x), y).item(), "accuracy", (model(x).argmax(1) == y).float().mean().item())
