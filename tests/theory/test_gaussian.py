"""Gaussian expectations against closed forms and an adaptive integrator."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from livegrad.theory.gaussian import expect


def adaptive(function, edges, scale=1.0):
    """E f(scale · z) by scipy's adaptive quadrature, piece by piece between the edges."""
    ends = [-12.0, *(e / scale for e in edges), 12.0]
    pieces = [
        quad(lambda z: float(function(scale * z)) * norm.pdf(z), low, high, epsabs=1e-13, limit=200)[0]
        for low, high in itertools.pairwise(ends)
    ]
    return math.fsum(pieces)


@pytest.mark.parametrize("power", range(11))
def test_moments_of_a_standard_normal(power):
    # E z^2k = (2k − 1)!!, odd moments vanish.
    exact = 0.0 if power % 2 else math.prod(range(1, power, 2))
    assert expect(lambda x: x**power) == pytest.approx(exact, rel=1e-12, abs=1e-12)


@given(st.floats(0.05, 3.0), st.floats(-2.0, 2.0))
def test_a_shifted_cosine_has_its_closed_form(scale, shift):
    exact = math.exp(-(scale**2) / 2) * math.cos(shift)
    assert expect(lambda x: np.cos(x + shift), scale=scale) == pytest.approx(exact, abs=1e-12)


@given(st.floats(-3.0, 3.0), st.floats(0.2, 3.0))
def test_a_rectifier_with_any_threshold_is_exact_when_its_kink_is_named(threshold, scale):
    # E max(σz − t, 0) = σ φ(t/σ) − t (1 − Φ(t/σ)), the Bachelier formula.
    z = threshold / scale
    exact = scale * norm.pdf(z) - threshold * norm.sf(z)
    found = expect(lambda x: np.maximum(x - threshold, 0), kinks=(threshold,), scale=scale)
    assert found == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("threshold", [-1.3, 0.05, 0.61, 2.2])
def test_a_jump_is_exact_when_named_and_not_when_it_is_not(threshold):
    def step(x):
        return (x > threshold).astype(float)

    exact = norm.sf(threshold)
    assert expect(step, kinks=(threshold,)) == pytest.approx(exact, abs=1e-13)
    assert abs(expect(step) - exact) > 1e-5


def test_plain_gauss_hermite_errs_on_a_step_where_panels_do_not():
    # The reason for composite panels: 64 Hermite nodes miss the mass over a step by percent.
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    hermite = float(np.sum(weights * (nodes > 0.1)) / math.sqrt(2 * math.pi))
    exact = norm.sf(0.1)
    assert abs(hermite - exact) > 1e-2
    assert abs(expect(lambda x: (x > 0.1).astype(float), kinks=(0.1,)) - exact) < 1e-13


def test_kinks_beyond_the_range_of_integration_do_no_harm():
    assert expect(lambda x: x**2, kinks=(-1e9, -12.0, 12.0, 1e9)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_an_adaptive_integrator_agrees_on_a_kinked_function(scale):
    def function(x):
        return np.abs(np.clip(x, -1.0, 2.0))

    found = expect(function, kinks=(-1.0, 0.0, 2.0), scale=scale)
    assert found == pytest.approx(adaptive(function, (-1.0, 0.0, 2.0), scale), abs=1e-11)
