"""Expectations of two correlated normals against closed forms and scipy."""

import math

import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal

from livegrad.theory.activation import CATALOGUE
from livegrad.theory.correlation_map import covariance, distance, slope_covariance

CORRELATIONS = [-1.0, -0.999999, -0.5, 0.0, 0.3, 0.9, 0.999, 1 - 1e-6, 1 - 1e-10, 1.0]


@pytest.mark.parametrize("c", CORRELATIONS)
def test_relu_gives_the_arc_cosine_kernel(c):
    # Cho & Saul (2009): E relu relu = (sin θ + (π − θ) cos θ)/2π, E step step = (π − θ)/2π.
    angle = math.acos(c)
    kernel = (math.sqrt((1 - c) * (1 + c)) + c * (math.pi - angle)) / (2 * math.pi)
    assert covariance("ReLU", c) == pytest.approx(kernel, abs=1e-14)
    assert covariance("ReLU", c, length=9.0) == pytest.approx(9 * kernel, abs=1e-12)
    assert slope_covariance("ReLU", c) == pytest.approx((math.pi - angle) / (2 * math.pi), abs=1e-14)


@pytest.mark.parametrize("gap", [1e-2, 1e-5, 1e-9, 1e-13])
def test_distances_keep_their_digits_as_inputs_become_alike(gap):
    # E(relu(u₁) − relu(u₂))²/2 = (1 − c)/2 − √2(1 − c)^{3/2}/3π + O((1 − c)^{5/2}), by expanding the kernel.
    c = 1 - gap
    gap = 1 - c  # what is left after rounding
    series = gap / 2 - math.sqrt(2) * gap**1.5 / (3 * math.pi)
    assert distance("ReLU", c) == pytest.approx(series, rel=gap**2 + 1e-7)


@pytest.mark.parametrize("c", [-0.8, 0.0, 0.6, 0.999])
@pytest.mark.parametrize("length", [0.5, 4.0])
def test_an_error_function_gives_an_arc_sine(c, length):
    # Williams (1997): E erf(u₁/√2) erf(u₂/√2) = 2/π asin(c q/(1 + q)); erf(x/√2) = 2 Φ(x) − 1.
    def bent(x):
        return 2 * CATALOGUE["GELU"].function(x) / x - 1

    from livegrad.theory.activation import Activation

    found = covariance(Activation("erf", bent), c, length)
    assert found == pytest.approx(2 / math.pi * math.asin(c * length / (1 + length)), abs=1e-12)


def test_an_odd_function_of_uncorrelated_inputs_has_no_covariance():
    assert covariance("Tanh", 0.0) == pytest.approx(0.0, abs=1e-15)
    assert covariance("Tanh", -0.7) == pytest.approx(-covariance("Tanh", 0.7), abs=1e-14)


def test_a_product_of_lines_is_the_correlation():
    from livegrad.theory.activation import IDENTITY

    assert covariance(IDENTITY, 0.37, length=100.0) == pytest.approx(37.0, rel=1e-13)


def test_scipy_agrees_on_a_function_with_two_kinks():
    c, phi = 0.4, CATALOGUE["Hardtanh"].function
    normal = multivariate_normal(cov=[[1, c], [c, 1]])
    exact = 0.0
    for a, b in ((-6, -1), (-1, 1), (1, 6)):
        for d, e in ((-6, -1), (-1, 1), (1, 6)):
            exact += dblquad(lambda y, x: float(phi(x) * phi(y)) * normal.pdf([x, y]), a, b, d, e)[0]
    assert covariance("Hardtanh", c) == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "GELU", "Hardtanh"])
def test_the_slope_of_the_covariance_is_the_covariance_of_the_slopes(name):
    # Price's theorem: d/dc E φ(u₁) φ(u₂) = q E φ'(u₁) φ'(u₂).
    c, q, step = 0.6, 2.0, 1e-4
    numeric = (covariance(name, c + step, q) - covariance(name, c - step, q)) / (2 * step)
    assert numeric == pytest.approx(q * slope_covariance(name, c, q), rel=1e-6)


def test_a_correlation_is_between_minus_one_and_one():
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        covariance("ReLU", 1.01)
