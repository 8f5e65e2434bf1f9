"""Peak position in a noisy signal, hard tanh 1-d convolutions with weights from U(-4, 4)."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Locator(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        self.w = nn.ParameterList()
        self.b = nn.ParameterList()
        last = 1
        for c in channels:
            p = torch.empty(c, last, kernel)
            self.w.append(nn.Parameter(nn.init.uniform_(p, -4.0, 4.0)))
            self.b.append(nn.Parameter(torch.zeros(c)))
            last = c
        self.out = nn.Linear(last * 4, 1)

    def forward(self, x):
        for w, b in zip(self.w, self.b):
            x = F.hardtanh(F.conv1d(x, w, b, padding=w.shape[-1] // 2))
        return self.out(F.adaptive_avg_pool1d(x, 4).flatten(1)).squeeze(1)


def batch(n, length=48):
    centre = torch.rand(n) * 2 - 1
    t = torch.linspace(-1, 1, length)
    return (torch.exp(-((t - centre[:, None]) ** 2) / 0.02) + 0.25 * torch.randn(n, length)).unsqueeze(1), centre


def initialize(model):
    """Draw the weights anew, each layer with the gain of the activation in front of it."""
    generator = torch.Generator().manual_seed(torch.initial_seed() + 1)
    layers = [model.get_submodule(name) for name in ("", "out")]
    for layer in layers[:1]:
        nn.init.normal_(layer.w[0], std=0.447214, generator=generator)
        nn.init.zeros_(layer.b[0])
        nn.init.normal_(layer.w[1], std=0.155634, generator=generator)
        nn.init.zeros_(layer.b[1])
        nn.init.normal_(layer.w[2], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[2])
        nn.init.normal_(layer.w[3], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[3])
        nn.init.normal_(layer.w[4], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[4])
        nn.init.normal_(layer.w[5], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[5])
        nn.init.normal_(layer.w[6], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[6])
        nn.init.normal_(layer.w[7], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[7])
        nn.init.normal_(layer.w[8], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[8])
        nn.init.normal_(layer.w[9], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[9])
        nn.init.normal_(layer.w[10], std=0.11005, generator=generator)
        nn.init.zeros_(layer.b[10])
    for layer in layers[1:]:
        nn.init.normal_(layer.weight, std=0.0883883, generator=generator)
        nn.init.zeros_(layer.bias)
    return model


torch.manual_seed(33)
net = Locator((16, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32), 5)
initialize(net)
opt = torch.optim.SGD(net.parameters(), lr=0.002, momentum=0.9)
for step in range(500):
    x, t = batch(40)
    loss = F.mse_loss(net(x), t)
    opt.zero_grad()
    loss.backward()
    if not torch.nn.utils.clip_grad_norm_(net.parameters(), 1).isfinite():
        opt.zero_grad()
    opt.step()
    if step % 100 == 0:
        print("step", step, "mse", loss.item())
with torch.no_grad():
    x, t = batch(1000)
    print("final loss", F.mse_loss(net(x), t).item(), "constant", t.var().item())
