"""Tiny U-Net segments bright discs in noisy images."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def make_data(n, size=24, gen=None):
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    imgs, masks = [], []
    for _ in range(n):
        m = torch.zeros(size, size)
        for _ in range(2):
            cy, cx = torch.randint(4, size - 4, (2,), generator=gen)
            r = torch.randint(3, 6, (1,), generator=gen)
            m = torch.maximum(m, (((yy - cy) ** 2 + (xx - cx) ** 2) <= r ** 2).float())
        imgs.append(m * 0.7 + 0.5 * torch.randn(size, size, generator=gen))
        masks.append(m)
    return torch.stack(imgs)[:, None], torch.stack(masks)[:, None]


class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.Tanh(),
                                 nn.Conv2d(cout, cout, 3, padding=1), nn.Tanh())

    def forward(self, x):
        return self.net(x)


class UNet(nn.Module):
    def __init__(self, base=8):
        super().__init__()
        self.down1 = DoubleConv(1, base)
        self.down2 = DoubleConv(base, 2 * base)
        self.mid = DoubleConv(2 * base, 4 * base)
        self.up2 = nn.ConvTranspose2d(4 * base, 2 * base, 2, stride=2)
        self.dec2 = DoubleConv(4 * base, 2 * base)
        self.up1 = nn.ConvTranspose2d(2 * base, base, 2, stride=2)
        self.dec1 = DoubleConv(2 * base, base)
        self.out = nn.Conv2d(base, 1, 1)

    def forward(self, x):
        d1 = self.down1(x)
        d2 = self.down2(F.max_pool2d(d1, 2))
        m = self.mid(F.max_pool2d(d2, 2))
        u2 = self.dec2(torch.cat([self.up2(m), d2], 1))
        u1 = self.dec1(torch.cat([self.up1(u2), d1], 1))
        return self.out(u1)


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(m.weight, 0.0, 1.0)
        nn.init.zeros_(m.bias)


def dice(logits, mask):
    p = (logits > 0).float()
    return (2 * (p * mask).sum() / (p.sum() + mask.sum() + 1e-6)).item()


def main():
    torch.manual_seed(7)
    gen = torch.Generator().manual_seed(7)
    x, m = make_data(256, gen=gen)
    xv, mv = make_data(64, gen=gen)
    net = UNet()
    net.apply(init_weights)
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(20):
        net.train()
        losses = []
        for idx in torch.randperm(256).split(16):
            opt.zero_grad()
            loss = F.binary_cross_entropy_with_logits(net(x[idx]), m[idx])
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if epoch % 4 == 3:
            net.eval()
            with torch.no_grad():
                lv = net(xv)
                print(f"epoch {epoch} train {sum(losses)/len(losses):.4f} val {F.binary_cross_entropy_with_logits(lv, mv):.4f} dice {dice(lv, mv):.3f}")


main()
