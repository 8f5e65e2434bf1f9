"""Kinks of functions that nobody described, and slopes that respect them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from livegrad.theory.activation import CATALOGUE, activation_of, gain
from livegrad.theory.gaussian import expect
from livegrad.theory.kinks import find_kinks, slope


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_search_finds_the_kinks_that_the_catalogue_lists(name):
    activation = CATALOGUE[name]
    assert find_kinks(activation.function) == pytest.approx(activation.kinks, abs=1e-7)


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.floats(-6, 6), min_size=1, max_size=4, unique_by=lambda k: round(k * 10)),
    st.lists(st.sampled_from([-2.0, -0.3, 0.02, 0.5, 1.7]), min_size=4, max_size=4),
)
def test_any_broken_line_on_top_of_a_smooth_curve_shows_its_breaks(kinks, jumps):
    def function(x):
        return np.sin(x) + sum(j * np.maximum(x - k, 0) for k, j in zip(kinks, jumps, strict=False))

    found = find_kinks(function)
    assert len(found) == len(kinks)
    assert np.allclose(found, sorted(kinks), rtol=0, atol=1e-6)


@pytest.mark.parametrize("function", [np.sin, np.tanh, np.exp, lambda x: x**3, lambda x: 2 * x + 1, np.sinc])
def test_a_smooth_function_has_none(function):
    assert find_kinks(function) == ()


def test_jumps_of_the_value_and_of_the_curvature_are_found_too():
    assert find_kinks(np.sign) == (0.0,)
    assert find_kinks(lambda x: np.maximum(x - math.pi / 7, 0) ** 2) == pytest.approx([math.pi / 7], abs=1e-4)
    assert find_kinks(lambda x: np.where(abs(x) > 0.5, x, 0.0)) == (-0.5, 0.5)


def test_an_expectation_over_found_kinks_is_exact():
    threshold = math.e / 3
    found = activation_of(lambda x: np.maximum(x - threshold, 0.0))
    exact = norm.pdf(threshold) - threshold * norm.sf(threshold)
    assert expect(found.function, found.kinks) == pytest.approx(exact, abs=1e-12)
    assert abs(expect(found.function) - exact) > 1e-7
    assert expect(lambda x: found.slope(x) ** 2, found.kinks) == pytest.approx(norm.sf(threshold), abs=1e-9)


@pytest.mark.parametrize("steepness", [1, 8, 50, 300])
def test_an_expectation_of_a_steep_function_is_exact(steepness):
    # E tanh'(az) · a = E z tanh(az) (Stein), and the limit E |z| of the right-hand side.
    found = activation_of(lambda x: np.tanh(steepness * x), derivative=None)
    left = expect(lambda x: steepness / np.cosh(np.clip(steepness * x, -300, 300)) ** 2, found.kinks)
    right = expect(lambda x: x * found.function(x), found.kinks)
    assert left == pytest.approx(right, rel=1e-9)
    assert abs(right - math.sqrt(2 / math.pi)) < 1 / steepness**2


def test_a_numeric_slope_is_right_on_both_sides_of_a_kink():
    x = np.array([-1e-3, -1e-5, -1e-9, 1e-9, 1e-5, 1e-3])
    expected = np.where(x < 0, 0.2 + np.cos(x), 3.0 + np.cos(x))
    found = slope(lambda x: np.sin(x) + np.where(x < 0, 0.2 * x, 3 * x), x, kinks=(0.0,))
    assert np.allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CATALOGUE)
def test_numeric_slopes_agree_with_closed_forms(name):
    activation = CATALOGUE[name]
    x = np.linspace(-7, 7, 513) + 1e-4
    assert np.allclose(
        slope(activation.function, x, activation.kinks), activation.slope(x), rtol=0, atol=1e-9
    )


def test_a_torch_callable_is_as_good_as_the_catalogue():
    def gelu(x):
        return torch.nn.functional.gelu(torch.from_numpy(x)).numpy()

    found = activation_of(gelu, "gelu")
    assert gain(found) == pytest.approx(gain("GELU"), rel=1e-13)
    assert not found.saturates
    assert activation_of(np.tanh).saturates
    assert not activation_of(lambda x: np.maximum(x, 0)).saturates


def test_what_is_not_an_elementwise_function_is_refused():
    with pytest.raises(ValueError, match="not elementwise"):
        activation_of(lambda x: x * np.arange(x.size).reshape(x.shape))
    with pytest.raises(ValueError, match="finite"):
        activation_of(lambda x: np.sum(x))
    with pytest.raises(ValueError, match="finite"), np.errstate(invalid="ignore"):
        activation_of(np.sqrt)
