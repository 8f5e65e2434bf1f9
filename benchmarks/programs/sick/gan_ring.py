"""A GAN for eight Gaussians on a ring, losses as in the first paper (minimise log(1 - D))."""
import math
import torch
import torch.nn as nn

torch.manual_seed(17)
Z = 8


def mlp(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, o))


def real(n):
    k = torch.randint(0, 8, (n,)).float() * math.pi / 4
    return torch.stack([k.cos(), k.sin()], 1) * 2 + 0.05 * torch.randn(n, 2)


G, D = mlp(Z, 2), nn.Sequential(mlp(2, 1), nn.Sigmoid())
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(D.parameters(), lr=5e-2, betas=(0.5, 0.999))
for step in range(600):
    x = real(128)
    fake = G(torch.randn(128, Z))
    loss_d = -(torch.log(D(x) + 1e-8) + torch.log(1 - D(fake.detach()) + 1e-8)).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    loss_g = torch.log(1 - D(fake) + 1e-8).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    if step % 60 == 0:
        print(step, "D", round(loss_d.item(), 4), "G", round(loss_g.item(), 4))

with torch.no_grad():
    f, r = G(torch.randn(1000, Z)), real(1000)
    # energy distance, 0 if the two are the same
    ed = 2 * torch.cdist(f, r).mean() - torch.cdist(f, f).mean() - torch.cdist(r, r).mean()
    print("energy distance", ed.item())
