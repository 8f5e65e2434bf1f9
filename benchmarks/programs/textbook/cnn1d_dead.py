"""1-d CNN that tells the waveform of a noisy signal; a large learning rate kills its ReLUs."""
import math
from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Config:
    channels: list = field(default_factory=lambda: [20, 28, 28, 36])
    length: int = 48
    lr: float = 0.6
    batch: int = 40
    steps: int = 350
    seed: int = 17


def batch_of(n, length):
    kind = torch.randint(0, 3, (n,))
    t = torch.arange(length).float()
    f = 0.15 + 0.25 * torch.rand(n, 1)
    ph = 2 * math.pi * torch.rand(n, 1)
    s = torch.sin(f * t + ph)
    saw = ((f * t + ph) / math.pi) % 2 - 1
    x = torch.where(kind[:, None] == 0, s, torch.where(kind[:, None] == 1, s.sign(), saw))
    return (x + 0.1 * torch.randn_like(x)).unsqueeze(1), kind


class WaveNet1d(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        layers, c = [], 1
        for k in cfg.channels:
            layers.append(nn.Conv1d(c, k, kernel_size=5, stride=2, padding=2))
            layers.append(nn.ReLU())
            c = k
        self.body = nn.Sequential(*layers)
        self.fc = nn.Linear(c * 3, 3)

    def forward(self, x):
        return self.fc(self.body(x).flatten(1))


def main():
    cfg = Config()
    torch.manual_seed(cfg.seed)
    net = WaveNet1d(cfg)
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    for step in range(1, cfg.steps + 1):
        x, k = batch_of(cfg.batch, cfg.length)
        loss = nn.functional.cross_entropy(net(x), k)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(f"{step:4d} {loss.item():.4f}")
    x, k = batch_of(600, cfg.length)
    with torch.no_grad():
        o = net(x)
    print("eval loss", round(nn.functional.cross_entropy(o, k).item(), 4), "acc", (o.argmax(1) == k).float().mean().item())


if __name__ == "__main__":
    main()
