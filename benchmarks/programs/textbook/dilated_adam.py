"""Dilated causal 1-d residual stack (WaveNet-like, no norm) predicting a noisy sum of sines; the rate is far too high."""
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    channels: int = 24
    dilations: list = field(default_factory=lambda: [1, 2, 4, 8, 16, 1, 2, 4, 8, 16])
    lr: float = 0.3
    steps: int = 300
    batch: int = 16
    length: int = 96


class CausalConv(nn.Module):
    def __init__(self, cin, cout, dilation):
        super().__init__()
        self.pad = dilation
        self.conv = nn.Conv1d(cin, cout, 2, dilation=dilation)

    def forward(self, x):
        return self.conv(F.pad(x, (self.pad, 0)))


class Layer(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.causal = CausalConv(c, c, d)
        self.mix = nn.Conv1d(c, c, 1)

    def forward(self, x):
        return x + self.mix(F.relu(self.causal(x)))


class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embed = nn.Conv1d(1, cfg.channels, 1)
        self.layers = nn.ModuleList(Layer(cfg.channels, d) for d in cfg.dilations)
        self.out = nn.Conv1d(cfg.channels, 1, 1)

    def forward(self, x):
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.out(F.relu(x))


def series(n, length):
    t = torch.arange(length + 1).float()
    f = 0.1 + 0.4 * torch.rand(n, 2, 1)
    p = 6.283 * torch.rand(n, 2, 1)
    return (torch.sin(f * t + p).sum(1) + 0.05 * torch.randn(n, length + 1)).unsqueeze(1)


def main(cfg):
    torch.manual_seed(111)
    net = Net(cfg)
    opt = torch.optim.AdamW(net.parameters(), lr=cfg.lr)
    for step in range(cfg.steps):
        s = series(cfg.batch, cfg.length)
        loss = F.mse_loss(net(s[..., :-1]), s[..., 1:])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"{step} {loss.item():.5g}")
    with torch.no_grad():
        s = series(200, cfg.length)
        print("final loss", F.mse_loss(net(s[..., :-1]), s[..., 1:]).item(), "constant", s.var().item())


main(Config())
