"""Convolutional autoencoder with hardtanh units and weights three times too large."""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(88)
images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1


def conv(i, o, **kw):
    m = nn.Conv2d(i, o, 3, **kw)
    nn.init.xavier_normal_(m.weight, gain=8.0)
    nn.init.uniform_(m.bias, -2, 2)
    return m


class ConvAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([conv(1, 12, padding=1, stride=2), conv(12, 16, padding=1), conv(16, 8, padding=1, stride=2)])
        self.up = nn.ModuleList([conv(8, 16, padding=1), conv(16, 12, padding=1), conv(12, 1, padding=1)])
        self.act = nn.Hardtanh()

    def forward(self, x):
        for layer in self.down:
            x = self.act(layer(x))
        for n, layer in enumerate(self.up):
            if n < 2:
                x = nn.functional.interpolate(x, scale_factor=2)
            x = self.act(layer(x))
        return x


model = ConvAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(300):
    x = images[torch.randint(0, 1600, (40,))]
    loss = nn.functional.l1_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(step + 1, f"{loss.item():.4f}")
with torch.no_grad():
    print("test l1", nn.functional.l1_loss(model(images[1600:]), images[1600:]).item())
