"""A normalizing flow (RealNVP) on two moons: coupling layers, log-determinants, maximum likelihood."""

import sys

import torch
from sklearn.datasets import make_moons
from torch import distributions, nn

torch.manual_seed(0)
LOG_SCALE = sys.argv[1] if len(sys.argv) > 1 else "tanh"


def mlp(outputs, last):
    return nn.Sequential(
        nn.Linear(2, 64), nn.LeakyReLU(), nn.Linear(64, 64), nn.LeakyReLU(), nn.Linear(64, outputs), last
    )


class RealNVP(nn.Module):
    def __init__(self, masks, prior):
        super().__init__()
        self.prior = prior
        self.mask = nn.Parameter(masks, requires_grad=False)
        self.t = nn.ModuleList([mlp(2, nn.Identity()) for _ in masks])
        self.s = nn.ModuleList([mlp(2, nn.Tanh() if LOG_SCALE == "tanh" else nn.ReLU()) for _ in masks])

    def backward_p(self, x):
        log_det_J, z = x.new_zeros(x.shape[0]), x
        for i in reversed(range(len(self.t))):
            z_ = self.mask[i] * z
            s = self.s[i](z_) * (1 - self.mask[i])
            t = self.t[i](z_) * (1 - self.mask[i])
            if LOG_SCALE == "tanh":
                z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + z_
                log_det_J -= s.sum(dim=1)
            else:
                z = (1 - self.mask[i]) * (z - t) * s + z_
                log_det_J += torch.log(s + self.mask[i]).sum(dim=1)
        return z, log_det_J

    def log_prob(self, x):
        z, logp = self.backward_p(x)
        return self.prior.log_prob(z) + logp

    def sample(self, n):
        x = self.prior.sample((n,))
        for i in range(len(self.t)):
            x_ = x * self.mask[i]
            x = x_ + (1 - self.mask[i]) * (x * torch.exp(self.s[i](x_)) + self.t[i](x_))
        return x


masks = torch.tensor([[0.0, 1.0], [1.0, 0.0]] * 3)
prior = distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
flow = RealNVP(masks, prior)
optimizer = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad], lr=1e-3)
for t in range(201):
    noisy_moons = torch.tensor(make_moons(n_samples=100, noise=0.05, random_state=t)[0], dtype=torch.float32)
    loss = -flow.log_prob(noisy_moons).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if t % 50 == 0:
        print(f"iter {t}: loss = {loss.item():.3f}")
print("final", loss.item())
