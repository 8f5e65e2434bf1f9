"""Autoencoders and density models that are well."""

import math

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, reconstruct, sample, sgd, train
from tests.zoo.models import mlp
from torch import nn
from torch.nn import functional as F


def autoencoder_case(name, note, **fields):
    return case(name, family="autoencoder", note=note, **({"steps": 80} | fields))


def pair(code, activation=nn.ReLU, width=64):
    encoder = mlp(1, width, activation, inputs=64, outputs=code)
    decoder = mlp(1, width, activation, inputs=code, outputs=64)
    return encoder, decoder


@autoencoder_case("autoencoder-sigmoid-output-mse", "A sigmoid output for pixels in [0, 1].")
def _():
    model = nn.Sequential(*pair(16), nn.Sigmoid())
    return reconstruct(model, adam(model, 5e-3))


@autoencoder_case("autoencoder-sigmoid-output-bce", "A sigmoid output with BCE on grey values.")
def _():
    model = nn.Sequential(*pair(16), nn.Sigmoid())
    mean = data.digit_pixels().mean(0).clamp(1e-6, 1 - 1e-6)
    constant = F.binary_cross_entropy(mean.expand(1797, 64), data.digit_pixels()).item()

    def check():
        with torch.no_grad():
            error = F.mse_loss(model(data.digit_pixels()), data.digit_pixels()).item()
        return error < 0.6 * 0.0733

    return reconstruct(model, adam(model, 5e-3), loss=F.binary_cross_entropy, baseline=constant, check=check)


@autoencoder_case(
    "autoencoder-bottleneck-2", "Two units in the middle: a narrow place, by design.", steps=200
)
def _():
    model = nn.Sequential(*pair(2, nn.Tanh))
    return reconstruct(model, adam(model, 1e-2))


@autoencoder_case("autoencoder-tied-weights", "The decoder uses the encoder's matrix, transposed.")
def _():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 64) / 8)
            self.hidden = nn.Parameter(torch.zeros(16))
            self.visible = nn.Parameter(torch.zeros(64))

        def forward(self, x):
            return F.linear(torch.tanh(F.linear(x, self.weight, self.hidden)), self.weight.T, self.visible)

    model = Tied()
    return reconstruct(model, adam(model, 1e-2))


class VAE(nn.Module):
    """Returns the reconstruction and leaves the divergence in `divergence`."""

    def __init__(self, code=8):
        super().__init__()
        self.encoder, self.decoder = pair(2 * code)[0], pair(code)[1]

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        self.divergence = 0.5 * (log_variance.exp() + mean.square() - 1 - log_variance).sum(1).mean()
        return self.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))


@autoencoder_case("vae", "A variational autoencoder, divergence weighted low.", steps=120)
def _():
    model = VAE()
    return reconstruct(model, adam(model, 5e-3), loss=lambda y, x: F.mse_loss(y, x) + 1e-4 * model.divergence)


@autoencoder_case(
    "vae-half-of-the-code-unused",
    "Weighted so that part of the code collapses to the prior: its decoder weights get little gradient.",
    steps=150,
)
def _():
    model = VAE(code=24)
    return reconstruct(model, adam(model, 5e-3), loss=lambda y, x: F.mse_loss(y, x) + 5e-4 * model.divergence)


@autoencoder_case("vq-vae-straight-through", "A codebook and a straight-through estimator.", steps=150)
def _():
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = pair(16)
            self.codes = nn.Embedding(32, 4)
            nn.init.normal_(self.codes.weight, std=0.3)

        def forward(self, x):
            z = self.encoder(x).view(-1, 4)
            code = self.codes(torch.cdist(z, self.codes.weight).argmin(1))
            self.commitment = F.mse_loss(code, z.detach()) + 0.25 * F.mse_loss(code.detach(), z)
            return self.decoder((z + (code - z).detach()).view(-1, 16))

    model = Quantized()
    return reconstruct(model, adam(model, 5e-3), loss=lambda y, x: F.mse_loss(y, x) + 0.1 * model.commitment)


@autoencoder_case("denoising-autoencoder-sgd", "Noise on the input, SGD with momentum.", steps=120)
def _():
    class Denoising(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = pair(24)

        def forward(self, x):
            return self.decoder(F.relu(self.encoder(x + 0.2 * torch.randn_like(x))))

    model = Denoising()
    return reconstruct(model, sgd(model, 1.0, momentum=0.9))


@autoencoder_case("diffusion-denoiser", "Predicts the noise at a random time.", steps=150)
def _():
    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 128, nn.SiLU, inputs=65, outputs=64)

        def forward(self, x):
            return self.net(x)

    model = Denoiser()
    pixels = 2 * data.digit_pixels() - 1

    def batch(generator):
        x = pixels[torch.randint(len(pixels), (64,), generator=generator)]
        angle = torch.rand(64, 1, generator=generator) * math.pi / 2
        noise = torch.randn(64, 64, generator=generator)
        return torch.cat([angle.cos() * x + angle.sin() * noise, angle], dim=1), noise

    return train(model, adam(model, 3e-3), batch, F.mse_loss, baseline=1.0)


@autoencoder_case("normalizing-flow", "RealNVP with scales that begin at zero.", steps=150)
def _():
    class Coupling(nn.Module):
        def __init__(self, flip):
            super().__init__()
            self.flip = flip
            self.net = mlp(1, 48, nn.ReLU, inputs=4, outputs=8)
            nn.init.zeros_(self.net[-1].weight)
            nn.init.zeros_(self.net[-1].bias)

        def forward(self, x, volume):
            a, b = x.chunk(2, dim=1) if not self.flip else x.chunk(2, dim=1)[::-1]
            scale, shift = self.net(a).chunk(2, dim=1)
            b = b * torch.tanh(scale).exp() + shift
            halves = (b, a) if self.flip else (a, b)
            return torch.cat(halves, dim=1), volume + torch.tanh(scale).sum(1)

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.couplings = nn.ModuleList([Coupling(i % 2 == 1) for i in range(6)])

        def forward(self, x):
            volume = x.new_zeros(len(x))
            for coupling in self.couplings:
                x, volume = coupling(x, volume)
            return (0.5 * x.square().sum(1) - volume).mean() / 8

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1024, 8, generator=generator)
    x[:, 4:] = 2 * x[:, :4].square() - 1 + 0.1 * x[:, 4:]
    x = 3 + 2 * x
    model = Flow()
    spread = x.var(0)
    constant = (0.5 + 0.5 * spread.log()).mean().item()
    return train(model, adam(model, 1e-2), sample(x, x), lambda value, _: value, baseline=constant)


@autoencoder_case("sparse-autoencoder-wide", "An L1 penalty keeps most of 512 units silent on any one image.")
def _():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(64, 512), nn.Linear(512, 64)

        def forward(self, x):
            self.code = F.relu(self.encoder(x))
            return self.decoder(self.code)

    model = Sparse()
    return reconstruct(
        model, adam(model, 3e-3), loss=lambda y, x: F.mse_loss(y, x) + 1e-4 * model.code.sum(1).mean()
    )


@autoencoder_case(
    "energy-score-matching", "Denoising score matching: the loss needs a second derivative.", steps=150
)
def _():
    energy = mlp(2, 64, nn.Softplus, inputs=16, outputs=1)
    optimizer = adam(energy, 3e-3)
    generator = torch.Generator().manual_seed(0)

    def step():
        clean = torch.randn(64, 16, generator=generator) * torch.tensor([2.0, 0.2]).repeat(8)
        noise = torch.randn(64, 16, generator=generator)
        x = (clean + 0.5 * noise).requires_grad_()
        score = torch.autograd.grad(-energy(x).sum(), x, create_graph=True)[0]
        loss = (0.5 * score + noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return Training((energy,), (optimizer,), step, 1.0)
