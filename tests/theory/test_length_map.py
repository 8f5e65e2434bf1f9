"""Lengths: the map, its slope and its fixed points, against iteration and published classes."""

import math

import numpy as np
import pytest

from livegrad.theory.activation import CATALOGUE, gain
from livegrad.theory.length_map import (
    fixed_lengths,
    gain_holds_length,
    length_map,
    length_slope,
    limit_length,
)


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "GELU", "Sigmoid", "SELU", "Hardswish"])
@pytest.mark.parametrize("q", [0.01, 1.0, 25.0])
def test_the_slope_is_the_derivative_of_the_map(name, q):
    step = 1e-4 * q
    numeric = (length_map(name, q + step, 1.7) - length_map(name, q - step, 1.7)) / (2 * step)
    assert length_slope(name, q, 1.7) == pytest.approx(numeric, rel=1e-6)


def test_relu_halves_every_length():
    assert length_map("ReLU", 3.0, 1.6, 0.2) == pytest.approx(1.6 * 3.0 / 2 + 0.2, rel=1e-13)
    (point,) = fixed_lengths("ReLU", 1.6, 0.2)
    assert point.length == pytest.approx(0.2 / (1 - 0.8), rel=1e-12)
    assert point.stability == "stable"
    assert point.depth_scale == pytest.approx(-1 / math.log(0.8), rel=1e-9)


def test_he_initialized_relu_keeps_every_length():
    (point,) = fixed_lengths("ReLU", 2.0)
    assert point.stability == "neutral"
    assert limit_length("ReLU", 2.0, start=7.5) == pytest.approx(7.5, rel=1e-9)


def test_relu_beyond_he_has_no_length_to_settle_at():
    assert limit_length("ReLU", 2.5) == math.inf
    assert limit_length("ReLU", 1.5) == 0.0


@pytest.mark.parametrize(("weights", "bias"), [(1.0, 0.05), (1.76, 0.05), (4.0, 0.05), (2.1533, 0.151)])
def test_tanh_has_one_stable_length_and_every_start_finds_it(weights, bias):
    # Poole et al. (2016): with a bias, one stable fixed point.
    (point,) = fixed_lengths("Tanh", weights, bias)
    assert point.stability == "stable"
    for start in (1e-6, 1.0, 400.0):
        q = start
        for _ in range(2000):
            q = length_map("Tanh", q, weights, bias)
        assert q == pytest.approx(point.length, rel=1e-9)


def test_without_bias_tanh_goes_to_zero_below_unit_gain_and_not_above():
    assert [p.stability for p in fixed_lengths("Tanh", 0.9)] == ["stable"]
    assert [p.stability for p in fixed_lengths("Tanh", 1.5)] == ["unstable", "stable"]
    assert limit_length("Tanh", 1.5, start=1e-4) == pytest.approx(fixed_lengths("Tanh", 1.5)[1].length)


@pytest.mark.parametrize("name", ["GELU", "SiLU", "Mish", "Hardswish"])
def test_under_he_initialization_smooth_rectifiers_shrink_from_any_length(name):
    (only,) = fixed_lengths(name, 2.0)
    assert (only.length, only.stability) == (0.0, "stable")
    assert only.slope == pytest.approx(2 * 0.5**2 if name != "Mish" else 2 * 0.6**2, rel=1e-3)
    assert length_map(name, 1e4, 2.0) < 1e4


def test_at_their_own_gain_smooth_rectifiers_do_not_hold_their_length():
    lost = {name for name in CATALOGUE if not gain_holds_length(name)}
    assert lost == {"GELU", "SiLU", "Mish", "Hardswish", "Tanhshrink", "Softshrink"}


@pytest.mark.parametrize(
    ("name", "holds"), [("Tanh", True), ("SELU", True), ("GELU", False), ("SiLU", False)]
)
def test_sampled_stacks_at_their_own_gain_keep_or_lose_their_length(name, holds):
    phi, rng, width, found = CATALOGUE[name], np.random.default_rng(0), 96, []
    for _ in range(8):
        z = rng.normal(size=width)
        for _ in range(60):
            z = rng.normal(size=(width, width)) @ phi.function(z) * gain(name) / width**0.5
        found.append(np.mean(z**2))
    near = np.mean([0.5 < q < 2 for q in found])
    assert near >= 0.75 if holds else near <= 0.25


def test_a_fixed_length_that_moves_is_none():
    for name in ("Tanh", "SELU", "Sigmoid", "Softplus"):
        for point in fixed_lengths(name, 1.3, 0.1):
            again = length_map(name, point.length, 1.3, 0.1)
            assert np.isclose(again, point.length, rtol=1e-10)
