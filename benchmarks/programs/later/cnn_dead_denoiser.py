"""Encoder-decoder that removes noise from blob images."""
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class Cfg:
    n: int = 512
    side: int = 16
    batch: int = 16
    epochs: int = 12
    lr: float = 1e-3
    bias: float = -0.8


def blobs(cfg):
    g = torch.linspace(-1, 1, cfg.side)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    c = torch.rand(cfg.n, 2, 2) * 1.4 - 0.7
    img = sum(torch.exp(-((xx - c[:, k, 0, None, None]) ** 2 + (yy - c[:, k, 1, None, None]) ** 2) / 0.08) for k in range(2))
    return img.unsqueeze(1).clamp(0, 1)


class Denoiser(nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.down1 = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.down2 = nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(24, 24, 3, padding=1)
        self.up1 = nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(12, 8, 4, stride=2, padding=1)
        self.final = nn.Conv2d(8, 1, 3, padding=1)
        for conv in (self.down1, self.down2, self.mid, self.up1, self.up2):
            nn.init.constant_(conv.bias, bias)

    def forward(self, x):
        x = self.down1(x).relu()
        x = self.down2(x).relu()
        x = self.mid(x).relu()
        x = self.up1(x).relu()
        x = self.up2(x).relu()
        return self.final(x)


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(40)
        self.cfg = cfg
        self.clean = blobs(cfg)
        self.noisy = self.clean + 0.2 * torch.randn_like(self.clean)
        self.model = Denoiser(cfg.bias)
        self.opt = torch.optim.AdamW(self.model.parameters(), lr=cfg.lr)

    def fit(self):
        for e in range(self.cfg.epochs):
            for i in torch.randperm(self.cfg.n).split(self.cfg.batch):
                loss = nn.functional.mse_loss(self.model(self.noisy[i]), self.clean[i])
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
            print("epoch", e, "loss", loss.item())
        with torch.no_grad():
            print("final mse", nn.functional.mse_loss(self.model(self.noisy), self.clean).item(), "constant", self.clean.var(0).mean().item())


if __name__ == "__main__":
    Trainer(Cfg()).fit()
