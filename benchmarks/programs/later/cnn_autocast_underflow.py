"""Segment discs; mixed precision without a scaler."""
import torch
from torch import nn


def discs(n, s=16):
    g = torch.arange(s).float()
    cx, cy, r = torch.rand(3, n, 1, 1) * torch.tensor([s, s, 3.0]).view(3, 1, 1, 1) + torch.tensor([0, 0, 2.0]).view(3, 1, 1, 1)
    mask = ((g.view(1, 1, s) - cx) ** 2 + (g.view(1, s, 1) - cy) ** 2 < r ** 2).float()
    return (mask * 0.8 + 0.3 * torch.randn(n, s, s)).unsqueeze(1), mask.unsqueeze(1)


class SegNet(nn.Module):
    def __init__(self, c=10):
        super().__init__()
        self.enc = nn.ModuleList([nn.Conv2d(1, c, 3, padding=1), nn.Conv2d(c, 2 * c, 3, padding=1)])
        self.dec = nn.ModuleList([nn.Conv2d(2 * c, c, 3, padding=1), nn.Conv2d(c, 1, 3, padding=1)])

    def forward(self, x):
        a = torch.relu(self.enc[0](x))
        b = torch.relu(self.enc[1](torch.max_pool2d(a, 2)))
        b = nn.functional.interpolate(b, scale_factor=2)
        return self.dec[1](torch.relu(self.dec[0](b) + a))


def main():
    torch.manual_seed(12)
    x, m = discs(600)
    net = SegNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    accumulate = 4096 * 64
    for step in range(300):
        i = torch.randint(0, 500, (12,))
        with torch.autocast("cpu", dtype=torch.float16):
            logits = net(x[i])
            loss = nn.functional.binary_cross_entropy_with_logits(logits, m[i]) / accumulate
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 30 == 0:
            print("step", step, "bce", loss.item() * accumulate)
    with torch.no_grad():
        p = net(x[500:])
        print("val bce", nn.functional.binary_cross_entropy_with_logits(p, m[500:]).item(), "acc", ((p > 0) == (m[500:] > 0.5)).float().mean().item(), "background", 1 - m.mean().item())


if __name__ == "__main__":
    main()
