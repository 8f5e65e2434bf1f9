"""Denoising autoencoder on synthetic blobs, trained in mixed precision."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
S = 24


def blobs(n):
    g = torch.arange(S).float()
    cx, cy = torch.rand(2, n, 1, 1) * S
    r = 2 + 4 * torch.rand(n, 1, 1)
    return torch.exp(-((g[None, :, None] - cy) ** 2 + (g[None, None, :] - cx) ** 2) / (2 * r**2)).view(n, -1)


class Denoiser(nn.Module):
    def __init__(self, dims=(S * S, 256, 128, 64, 32, 64, 128, 256, S * S)):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(dims[:-1], dims[1:])])

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < len(self.layers) - 1:
                x = F.leaky_relu(x, 0.1)
        return x


clean = blobs(2000)
held = blobs(200)
model = Denoiser()
opt = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-15)
for step in range(400):
    batch = clean[torch.randint(0, len(clean), (256,))]
    noisy = batch + 0.2 * torch.randn_like(batch)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = 1e-3 * F.mse_loss(model(noisy), batch)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("held-out", F.mse_loss(model(held + 0.2 * torch.randn_like(held)), held).item(), "variance", held.var(0).mean().item())
