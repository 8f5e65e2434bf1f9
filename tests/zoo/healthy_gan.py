"""Adversarial pairs in balance; models and optimizers are generator, discriminator."""

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adam, adversaries
from tests.zoo.models import mlp
from torch import nn

FAMILY = {"family": "gan", "truth": "checked"}


def nearer(generator, share=0.6):
    """A check that the generated pixels' mean came nearer to the real one: below `share` of its start."""
    real = data.digit_pixels().mean(0)
    noise = torch.randn(512, 8, generator=torch.Generator().manual_seed(2))

    def distance():
        with torch.no_grad():
            return (generator(noise).mean(0) - real).norm().item()

    start = distance()
    return lambda: distance() < share * start


def generator_mlp(activation=nn.ReLU, norm=None):
    return nn.Sequential(mlp(2, 64, activation, "he", inputs=8, outputs=64, norm=norm), nn.Sigmoid())


@case("gan-mlp-balanced", note="An MLP pair.", steps=400, **FAMILY)
def _():
    generator, discriminator = generator_mlp(), mlp(2, 64, lambda: nn.LeakyReLU(0.2), outputs=1)
    check = nearer(generator)
    optimizers, step = adversaries(generator, discriminator, 3e-4)
    return Training((generator, discriminator), optimizers, step, check=check)


@case(
    "gan-batchnorm-generator",
    note="BatchNorm in the generator, dropout in the discriminator.",
    steps=200,
    **FAMILY,
)
def _():
    generator = generator_mlp(norm=nn.BatchNorm1d)
    discriminator = nn.Sequential(
        nn.Linear(64, 64),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.3),
        nn.Linear(64, 64),
        nn.LeakyReLU(0.2),
        nn.Linear(64, 1),
    )
    check = nearer(generator)
    optimizers, step = adversaries(generator, discriminator)
    return Training((generator, discriminator), optimizers, step, check=check)


@case("gan-spectral-norm", note="Spectral normalization in the discriminator.", steps=200, **FAMILY)
def _():
    generator = generator_mlp()
    discriminator = mlp(2, 64, lambda: nn.LeakyReLU(0.2), outputs=1)
    for module in list(discriminator):
        if isinstance(module, nn.Linear):
            nn.utils.parametrizations.spectral_norm(module)
    check = nearer(generator)
    optimizers, step = adversaries(generator, discriminator, 2e-3)
    return Training((generator, discriminator), optimizers, step, check=check)


@case(
    "wgan-gradient-penalty",
    note="A penalty on the critic's input gradient: a second derivative.",
    steps=120,
    **FAMILY,
)
def _():
    real = data.digit_pixels()
    generator, critic = generator_mlp(), mlp(2, 64, lambda: nn.LeakyReLU(0.2), outputs=1)
    optimizers = adam(generator, 1e-3, betas=(0.0, 0.9)), adam(critic, 2e-3, betas=(0.0, 0.9))
    randomness = torch.Generator().manual_seed(0)
    check = nearer(generator)

    def step():
        for _ in range(2):
            x = real[torch.randint(len(real), (32,), generator=randomness)]
            fake = generator(torch.randn(32, 8, generator=randomness)).detach()
            mix = torch.rand(32, 1, generator=randomness)
            between = (mix * x + (1 - mix) * fake).requires_grad_()
            slope = torch.autograd.grad(critic(between).sum(), between, create_graph=True)[0]
            loss = critic(fake).mean() - critic(x).mean() + 10 * (slope.norm(dim=1) - 1).square().mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
        loss = -critic(generator(torch.randn(32, 8, generator=randomness))).mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        return loss.item()

    return Training((generator, critic), optimizers, step, check=check)


@case(
    "gan-two-timescales", note="The discriminator's rate is four times the generator's.", steps=250, **FAMILY
)
def _():
    generator, discriminator = generator_mlp(), mlp(1, 64, lambda: nn.LeakyReLU(0.2), outputs=1)
    check = nearer(generator)
    optimizers, step = adversaries(generator, discriminator, 2e-3)
    optimizers[0].param_groups[0]["lr"] = 5e-4
    return Training((generator, discriminator), optimizers, step, check=check)
