"""Denoising diffusion on the digits: time embedding, residual blocks with GroupNorm, zeroed last layers."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from tqdm_free import progress


def timestep_embedding(t, dim):
    half = dim // 2
    freqs = torch.exp(-math.log(10000) * torch.arange(half) / half)
    args = t[:, None].float() * freqs[None]
    return torch.cat([torch.cos(args), torch.sin(args)], dim=-1)


def zero_module(module):
    for p in module.parameters():
        p.detach().zero_()
    return module


class ResBlock(nn.Module):
    def __init__(self, channels, out_channels, emb_channels):
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(4, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(4, out_channels),
            nn.SiLU(),
            zero_module(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip(x) + self.out_layers(h)


class UNetModel(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.time_embed = nn.Sequential(nn.Linear(c, 4 * c), nn.SiLU(), nn.Linear(4 * c, 4 * c))
        self.c = c
        self.input = nn.Conv2d(1, c, 3, padding=1)
        self.down = ResBlock(c, c, 4 * c)
        self.downsample = nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)
        self.middle = ResBlock(2 * c, 2 * c, 4 * c)
        self.upsample = nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1)
        self.up = ResBlock(2 * c, c, 4 * c)
        self.out = nn.Sequential(nn.GroupNorm(4, c), nn.SiLU(), zero_module(nn.Conv2d(c, 1, 3, padding=1)))

    def forward(self, x, timesteps):
        emb = self.time_embed(timestep_embedding(timesteps, self.c))
        h0 = self.down(self.input(x), emb)
        h = self.middle(self.downsample(h0), emb)
        return self.out(self.up(torch.cat([self.upsample(h), h0], dim=1), emb))


class GaussianDiffusion:
    def __init__(self, steps=100):
        self.num_timesteps = steps
        betas = torch.linspace(1e-3, 0.1, steps)
        self.alphas_cumprod = torch.cumprod(1 - betas, 0)

    def q_sample(self, x_start, t, noise):
        a = self.alphas_cumprod[t].view(-1, 1, 1, 1)
        return a.sqrt() * x_start + (1 - a).sqrt() * noise

    def training_losses(self, model, x_start, t):
        noise = torch.randn_like(x_start)
        return F.mse_loss(model(self.q_sample(x_start, t, noise), t), noise, reduction="none").mean(
            dim=(1, 2, 3)
        )


if __name__ == "__main__":
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    model, diffusion = UNetModel(), GaussianDiffusion()
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    losses = []
    for _step in progress(range(100), lambda: losses[-1]):
        batch = images[torch.randint(len(images), (48,))]
        t = torch.randint(0, diffusion.num_timesteps, (len(batch),))
        loss = diffusion.training_losses(model, batch, t).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("final", sum(losses[-20:]) / 20)
