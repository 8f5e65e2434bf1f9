"""Super-resolution by a small CNN, squared error summed over pixels and batch."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits


class Upscaler(nn.Module):
    def __init__(self, c=20):
        super().__init__()
        self.c1 = nn.Conv2d(1, c, 3, padding=1)
        self.c2 = nn.Conv2d(c, c, 3, padding=1)
        self.c3 = nn.Conv2d(c, 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x):
        return self.shuffle(self.c3(F.relu(self.c2(F.relu(self.c1(x))))))


def main():
    torch.manual_seed(303)
    hi = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16
    lo = F.avg_pool2d(hi, 2)
    net = Upscaler()
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
    for s in range(500):
        i = torch.randint(0, 1500, (30,))
        loss = F.mse_loss(net(lo[i]), hi[i], reduction="sum")
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 50 == 0:
            print(s, loss.item() / 30 / 64)
    with torch.no_grad():
        print("val", F.mse_loss(net(lo[1500:]), hi[1500:]).item(), "constant", hi.var(0).mean().item(), "nearest", F.mse_loss(F.interpolate(lo[1500:], scale_factor=2), hi[1500:]).item())


main()
