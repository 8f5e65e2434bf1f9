"""Slope, saturation and death of activations on known inputs."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from livegrad.probe.activation import is_activation, measure_activation

SATURATES = {
    "sigmoid": (torch.sigmoid, lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x)), 0.25),
    "tanh": (torch.tanh, lambda x: 1 - torch.tanh(x) ** 2, 1.0),
    "hardtanh": (F.hardtanh, lambda x: ((x > -1) & (x < 1)).double(), 1.0),
    "hardsigmoid": (F.hardsigmoid, lambda x: ((x > -3) & (x < 3)) / 6, 1 / 6),
}
OTHERS = {
    "leaky ReLU": F.leaky_relu,
    "ELU": F.elu,
    "SELU": F.selu,
    "CELU": F.celu,
    "GELU": F.gelu,
    "tanh GELU": lambda x: F.gelu(x, approximate="tanh"),
    "SiLU": F.silu,
    "Mish": F.mish,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "log-sigmoid": F.logsigmoid,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
}


def measure(phi, x: torch.Tensor):
    y = phi(x.requires_grad_())
    assert is_activation(y.grad_fn)
    return measure_activation(y.grad_fn, y)


@pytest.fixture
def x():
    return 3 * torch.randn(64, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", SATURATES)
def test_the_slope_and_the_saturated_share_of_a_bounded_activation(x, name):
    phi, slope, top = SATURATES[name]

    state = measure(phi, x)

    x = x.detach()
    assert state.slope == pytest.approx(float(slope(x).square().mean().sqrt()))
    assert state.saturated == pytest.approx(float((slope(x) < 0.05 * top).double().mean()))
    assert state.dead is None


@pytest.mark.parametrize("name", OTHERS)
def test_the_slope_of_any_other_is_that_of_autograd(x, name):
    state = measure(OTHERS[name], x)

    given = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(OTHERS[name](given).sum(), given)
    assert state.slope == pytest.approx(float(slope.square().mean().sqrt()))
    assert state.saturated is None
    assert state.dead is None


@pytest.mark.parametrize(
    "phi", [torch.relu, F.relu6, lambda x: F.threshold(x, 0.0, 0.0)], ids=["ReLU", "ReLU6", "threshold"]
)
def test_a_unit_is_dead_if_it_is_silent_on_the_whole_batch(x, phi):
    x = x.clone()
    x[:, :8] = -x[:, :8].abs()
    x[:, 8:] = x[:, 8:].clamp(max=5)  # where ReLU6 stops, its slope is 0 too

    state = measure(phi, x)

    assert state.dead == 8 / 32
    assert state.slope == pytest.approx(math.sqrt(float((x > 0).double().mean())))
    assert state.saturated is None


@pytest.mark.parametrize(("shape", "unit"), [((5, 6, 7, 8), 1), ((5, 7, 6), 2)])
def test_the_units_of_images_are_channels_and_of_sequences_features(shape, unit):
    x = torch.ones(shape)
    x.select(unit, 2).neg_()

    assert measure(torch.relu, x).dead == pytest.approx(1 / 6)


def test_one_sample_tells_nothing_of_death():
    assert measure(torch.relu, -torch.ones(1, 8)).dead is None
    assert measure(torch.relu, -torch.ones(8)).dead is None


@pytest.mark.parametrize("phi", [torch.sigmoid, torch.tanh])
def test_slopes_deep_in_saturation_keep_their_digits(phi):
    x = torch.full((4, 4), -60.0 if phi is torch.sigmoid else 6.0)

    state = measure(phi, x)

    exact = math.exp(-60) if phi is torch.sigmoid else 1 - math.tanh(6) ** 2
    assert state.slope == pytest.approx(exact, rel=5e-3)
    assert state.saturated == 1


def test_an_in_place_activation_is_read_like_any_other(x):
    y = torch.relu_(x.requires_grad_() * 1)

    assert measure_activation(y.grad_fn, y).slope == pytest.approx(float((x > 0).double().mean().sqrt()))


@pytest.mark.parametrize("module", [nn.Linear(4, 4), nn.Softmax(-1), nn.LayerNorm(4)])
def test_other_operations_are_no_activations(module):
    assert not is_activation(module(torch.ones(2, 4, requires_grad=True)).grad_fn)


def test_a_unit_that_gives_nan_is_not_dead():
    x = torch.randn(16, 8)
    x[:, 3] = torch.nan
    state = measure(torch.relu, x)
    assert state is not None and state.dead == 0.0
