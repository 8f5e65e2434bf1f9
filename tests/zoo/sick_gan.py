"""Adversarial pairs of which one side cannot learn; models and optimizers are generator, discriminator."""

import torch
from tests.zoo import data
from tests.zoo.case import Training, case
from tests.zoo.loops import adversaries, never_moves
from tests.zoo.models import mlp
from torch import nn

FAMILY = {"family": "gan", "truth": "checked"}


def weights_norm(model):
    return sum(each.detach().norm().item() for each in model.parameters())


def images_vary(generator):
    """Standard deviation over noise of the generated pixels."""
    with torch.no_grad():
        return generator(torch.randn(256, 8)).std(dim=0).mean().item()


@case(
    "gan-generator-sigmoid-16-deep",
    expect="LG101",
    tolerated="LG401",
    note="A generator of 16 sigmoid layers: its images do not depend on the noise, before and after.",
    layers=None,
    **FAMILY,
)
def _():
    generator = nn.Sequential(mlp(16, 48, nn.Sigmoid, "xavier", inputs=8, outputs=64), nn.Sigmoid())
    discriminator = mlp(2, 64, lambda: nn.LeakyReLU(0.2))
    optimizers, step = adversaries(generator, discriminator)
    return Training((generator, discriminator), optimizers, step, check=lambda: images_vary(generator) < 1e-3)


@case(
    "gan-generator-detached",
    expect="LG404",
    note="fake.detach() was left in the generator's own step: only the discriminator learns.",
    **FAMILY,
)
def _():
    generator = nn.Sequential(mlp(2, 64, nn.ReLU, "he", inputs=8, outputs=64), nn.Sigmoid())
    discriminator = mlp(2, 64, lambda: nn.LeakyReLU(0.2))
    optimizers, step = adversaries(generator, discriminator, through=torch.Tensor.detach)
    check = never_moves(generator.parameters())
    return Training((generator, discriminator), optimizers, step, check=check)


@case(
    "gan-adam-rate-1",
    expect="LG402 LG103 LG301 LG202 LG201",
    note="Adam at rate 1 for both: weights grow by their own size each step.",
    tolerated="LG101",
    **FAMILY,
)
def _():
    generator = nn.Sequential(mlp(2, 64, nn.ReLU, "he", inputs=8, outputs=64), nn.Sigmoid())
    discriminator = mlp(2, 64, lambda: nn.LeakyReLU(0.2))
    optimizers, step = adversaries(generator, discriminator, 1.0)
    before = weights_norm(discriminator)
    return Training(
        (generator, discriminator), optimizers, step, check=lambda: weights_norm(discriminator) > 20 * before
    )


@case(
    "gan-generator-relu-30-default",
    expect="LG101",
    tolerated="LG401",
    note="A generator of thirty ReLU layers at default init.",
    **FAMILY,
)
def _():
    generator = nn.Sequential(mlp(30, 48, nn.ReLU, inputs=8, outputs=64), nn.Sigmoid())
    discriminator = mlp(2, 64, lambda: nn.LeakyReLU(0.2))
    optimizers, step = adversaries(generator, discriminator)
    return Training((generator, discriminator), optimizers, step, check=lambda: images_vary(generator) < 1e-3)


@case(
    "gan-discriminator-dead",
    expect="LG202",
    tolerated="LG101 LG401 LG404",
    note="The discriminator's first ReLU has bias -30 on pixels in [0, 1]: it is the same for every image.",
    **FAMILY,
)
def _():
    generator = nn.Sequential(mlp(2, 64, nn.ReLU, "he", inputs=8, outputs=64), nn.Sigmoid())
    discriminator = mlp(2, 64, nn.ReLU, "he")
    nn.init.constant_(discriminator[0].bias, -30)
    optimizers, step = adversaries(generator, discriminator)
    return Training(
        (generator, discriminator),
        optimizers,
        step,
        check=lambda: discriminator(data.digit_pixels()).std(dim=0).max().item() < 1e-6,
    )
