"""Healthy: convolutional autoencoder on stripes, bfloat16 autocast, RMSprop."""
import math
import torch
from torch import nn

torch.manual_seed(5)
a = torch.rand(600, 1, 1, 1) * math.pi
ph = torch.rand(600, 1, 1, 1) * 6
g = torch.linspace(-1, 1, 12)
u, v = torch.meshgrid(g, g, indexing="ij")
img = 0.5 + 0.5 * torch.sin(4 * (u * a.cos() + v * a.sin()) + ph)
ae = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.ELU(), nn.Conv2d(8, 16, 4, 2, 1), nn.ELU(), nn.Flatten(), nn.Linear(144, 6),
                   nn.Linear(6, 144), nn.ELU(), nn.Unflatten(1, (16, 3, 3)), nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ELU(), nn.ConvTranspose2d(8, 1, 4, 2, 1))
opt = torch.optim.RMSprop(ae.parameters(), lr=1e-3)
for it in range(500):
    b = img[torch.randint(0, 500, (32,))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rec = ae(b)
    loss = nn.functional.mse_loss(rec.float(), b)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 50 == 0:
        print(it, loss.item())
with torch.no_grad():
    print("val", nn.functional.mse_loss(ae(img[500:]), img[500:]).item(), "var", img.var(0).mean().item())
