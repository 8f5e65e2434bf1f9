"""Draw a picture from four numbers: a transposed convolution decoder, weights with std 0.4."""
import torch
from torch import nn


def target(code, s=16):
    g = torch.linspace(-1, 1, s)
    cx, cy, w, h = code.unbind(1)
    mx = (-((g[None] - cx[:, None] * 0.6) / (0.25 + 0.15 * w[:, None])) ** 2).exp()
    my = (-((g[None] - cy[:, None] * 0.6) / (0.25 + 0.15 * h[:, None])) ** 2).exp()
    return (my[:, :, None] * mx[:, None, :]).unsqueeze(1)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 32 * 4)
        self.net = nn.Sequential(nn.ConvTranspose2d(32, 24, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(24, 24, 3, padding=1), nn.LeakyReLU(0.2),
                                 nn.ConvTranspose2d(24, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 16, 3, padding=1), nn.LeakyReLU(0.2),
                                 nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3, padding=1))
        self.apply(self.weights)

    def weights(self, m):
        if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(m.weight, 0.0, 0.4)

    def forward(self, code):
        return self.net(torch.nn.functional.leaky_relu(self.fc(code), 0.2).view(-1, 32, 2, 2))


def main():
    torch.manual_seed(81)
    code = torch.rand(1200, 4) * 2 - 1
    img = target(code)
    net = Decoder()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for s in range(350):
        i = torch.randint(0, 1000, (24,))
        loss = nn.functional.l1_loss(net(code[i]), img[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if s % 50 == 0:
            print(s, loss.item())
    with torch.no_grad():
        print("val l1", nn.functional.l1_loss(net(code[1000:]), img[1000:]).item(), "constant", (img - img.median(0).values).abs().mean().item())


main()
