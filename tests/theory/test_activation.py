"""The activation catalogue against published constants, torch's own functions and an adaptive integrator."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from livegrad.theory.activation import CATALOGUE, backward_factor, gain, normalized_backward_factor
from livegrad.theory.gaussian import expect

# (gain, backward factor at that gain), to four digits.
CONSTANTS = {
    "ReLU": (1.4142, 1.0),
    "LeakyReLU": (1.4141, 1.0),
    "ELU": (1.2452, 1.0178),
    "SELU": (1.0, 1.0352),
    "GELU": (1.5335, 1.0354),
    "SiLU": (1.6765, 1.0328),
    "Mish": (1.4868, 1.0291),
    "Tanh": (1.5925, 1.0853),
    "Hardtanh": (1.3920, 1.1502),
    "Hardswish": (1.7367, 1.0399),
    "Softplus": (1.0419, 0.5643),
    "Sigmoid": (1.8462, 0.3909),
}
# Under BatchNorm or centring.
NORMALIZED = {
    "ReLU": 1.2112,
    "GELU": 1.1484,
    "SiLU": 1.1009,
    "Tanh": 1.0853,
    "Sigmoid": 1.0167,
    "Softplus": 1.0395,
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_gains_and_backward_factors_to_four_digits(name):
    assert gain(name) == pytest.approx(CONSTANTS[name][0], abs=5.1e-5)
    assert backward_factor(name) == pytest.approx(CONSTANTS[name][1], abs=5.1e-5)


@pytest.mark.parametrize("name", NORMALIZED)
def test_factors_under_normalization_to_four_digits(name):
    assert normalized_backward_factor(name) == pytest.approx(NORMALIZED[name], abs=5.1e-5)


def test_relu_and_leaky_relu_have_closed_forms():
    # E relu² = 1/2, E relu = 1/√(2π), E relu'² = 1/2; a leak a makes the first (1 + a²)/2.
    assert gain("ReLU") == pytest.approx(math.sqrt(2), rel=1e-13)
    assert gain("LeakyReLU") == pytest.approx(math.sqrt(2 / (1 + 0.01**2)), rel=1e-13)
    assert backward_factor("ReLU") == pytest.approx(1.0, abs=1e-9)
    assert backward_factor("LeakyReLU") == pytest.approx(1.0, abs=1e-9)
    assert normalized_backward_factor("ReLU") == pytest.approx(math.sqrt(1 / (1 - 1 / math.pi)), abs=1e-9)


def test_selu_keeps_the_moments_it_was_made_for():
    # Klambauer et al. (2017): (mean, variance) = (0, 1) is a fixed point.
    selu = CATALOGUE["SELU"]
    assert expect(selu.function, selu.kinks) == pytest.approx(0.0, abs=1e-12)
    assert gain("SELU") == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_function_is_the_one_torch_calls_by_that_name(name):
    x = np.linspace(-9, 9, 1801)
    expected = getattr(torch.nn, name)().double()(torch.from_numpy(x)).detach().numpy()
    assert np.allclose(CATALOGUE[name].function(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_slope_is_the_one_autograd_gives_away_from_kinks(name):
    activation = CATALOGUE[name]
    x = np.linspace(-9, 9, 1801) + 1e-3
    x = x[np.min([abs(x - k) for k in (*activation.kinks, 99.0)], axis=0) > 1e-4]
    point = torch.from_numpy(x).requires_grad_()
    (slope,) = torch.autograd.grad(getattr(torch.nn, name)().double()(point).sum(), point)
    assert np.allclose(activation.slope(x), slope.numpy(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", CATALOGUE)
def test_kinks_are_where_the_slope_jumps_and_nowhere_else(name):
    activation = CATALOGUE[name]
    x = np.arange(-8, 8, 1e-3) + 4.7e-4
    jump = np.abs(np.diff(activation.slope(x)))
    found = x[:-1][jump > 5e-3] + 5e-4
    expected = [k for k in activation.kinks if _slope_jumps(activation, k)]
    assert len(found) == len(expected)
    assert np.allclose(sorted(found), sorted(expected), atol=1e-3)


def _slope_jumps(activation, kink):
    left, right = activation.slope(np.array([kink - 1e-4, kink + 1e-4]))
    return abs(left - right) > 5e-3


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_adaptive_integrator_agrees(name):
    activation = CATALOGUE[name]

    def integral(function):
        ends = (-12.0, *sorted({0.0, *activation.kinks}), 12.0)
        return math.fsum(
            quad(lambda z: float(function(np.float64(z))) * norm.pdf(z), a, b, epsabs=1e-12, limit=200)[0]
            for a, b in itertools.pairwise(ends)
        )

    def value(z):
        return activation.function(np.atleast_1d(z))[0]

    def slope(z):
        return activation.slope(np.atleast_1d(z))[0]

    square, mean = integral(lambda z: value(z) ** 2), integral(value)
    slope_square = integral(lambda z: slope(z) ** 2)
    assert gain(name) == pytest.approx(square**-0.5, rel=1e-9)
    assert backward_factor(name) == pytest.approx((slope_square / square) ** 0.5, rel=1e-6)
    assert normalized_backward_factor(name) == pytest.approx(
        (slope_square / (square - mean**2)) ** 0.5, rel=1e-6
    )


@pytest.mark.parametrize("name", CATALOGUE)
def test_normalized_layers_never_make_a_gradient_vanish(name):
    # The Gaussian Poincaré inequality, Var φ ≤ E φ'², for every activation there is.
    assert normalized_backward_factor(name) >= 1 - 1e-12


@settings(max_examples=60, deadline=None)
@given(
    amplitude=st.lists(st.floats(-3, 3), min_size=4, max_size=4).filter(lambda a: max(map(abs, a)) > 0.1),
    frequency=st.lists(st.floats(0.1, 4), min_size=4, max_size=4),
    phase=st.lists(st.floats(0, 6.3), min_size=4, max_size=4),
    line=st.floats(-2, 2),
)
def test_the_poincare_inequality_holds_for_any_smooth_function(amplitude, frequency, phase, line):
    a, w, p = (np.array(values)[:, None] for values in (amplitude, frequency, phase))
    variance = expect(lambda x: (line * x + (a * np.sin(w * x.ravel() + p)).sum(0).reshape(x.shape)) ** 2)
    variance -= expect(lambda x: line * x + (a * np.sin(w * x.ravel() + p)).sum(0).reshape(x.shape)) ** 2
    slope = expect(lambda x: (line + (a * w * np.cos(w * x.ravel() + p)).sum(0).reshape(x.shape)) ** 2)
    assert slope >= variance * (1 - 1e-10) - 1e-12


def test_the_inequality_is_an_equality_only_for_a_line():
    line = expect(lambda x: (3 * x + 1) ** 2) - expect(lambda x: 3 * x + 1) ** 2
    assert line == pytest.approx(9.0, rel=1e-12)
    assert normalized_backward_factor("Hardsigmoid") > 1.001


def test_he_initialization_makes_gelu_and_silu_vanish_not_relu():
    # At √2 instead of their own gain: forward the size shrinks to the fixed point 0, where φ' = 1/2, so that
    # each layer passes on √2 / 2 of the gradient.
    for name in ("GELU", "SiLU"):
        activation = CATALOGUE[name]
        size = 1.0
        for _ in range(400):
            size = 2 * expect(lambda x, a=activation: a.function(x) ** 2, scale=size**0.5)
        slope = expect(lambda x, a=activation: a.slope(x) ** 2, scale=max(size, 1e-12) ** 0.5)
        assert size < 1e-6
        assert math.sqrt(2 * slope) == pytest.approx(math.sqrt(0.5), abs=2e-3)
    relu = CATALOGUE["ReLU"]
    assert 2 * expect(lambda x: relu.function(x) ** 2, (0.0,)) == pytest.approx(1.0, rel=1e-12)


def test_a_layer_norm_does_not_cure_a_sigmoid_and_centring_does():
    # Rescaling alone leaves each layer √(E φ'² / E φ²); only taking the mean away changes the class.
    assert backward_factor("Sigmoid") < 0.4
    assert normalized_backward_factor("Sigmoid") > 1.0


def test_an_unknown_activation_is_not_guessed():
    with pytest.raises(KeyError):
        gain("Swash")
