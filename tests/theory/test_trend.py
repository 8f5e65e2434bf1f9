"""Theil–Sen lines: exactness, resistance to outliers, and the coverage the interval promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, theilslopes
from scipy.stats import t as student

from livegrad.theory.trend import block_trend, theil_sen

finite = st.floats(-1e3, 1e3)


@settings(deadline=None)
@given(st.lists(finite, min_size=3, max_size=30), st.integers(0, 2**31))
def test_the_slope_is_scipys(values, seed):
    y = np.array(values)
    x = np.sort(np.random.default_rng(seed).permutation(200)[: len(y)]).astype(float)
    assert theil_sen(x, y) == pytest.approx(theilslopes(y, x).slope, rel=1e-12, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.floats(-50, 50), finite, st.integers(3, 60))
def test_points_on_a_line_give_the_line_and_no_doubt(slope, offset, count):
    x = np.arange(float(count))
    trend = block_trend(x, slope * x + offset)
    scale = 1e-9 * (abs(slope) + abs(offset) + 1)
    assert trend.slope == pytest.approx(slope, abs=scale)
    assert trend.low == pytest.approx(slope, abs=scale)
    assert trend.high == pytest.approx(slope, abs=scale)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.01, 100), st.floats(-5, 5), st.integers(0, 2**31))
def test_the_fit_follows_a_change_of_units(scale, tilt, seed):
    x, noise = np.arange(20.0), np.random.default_rng(seed).normal(size=20)
    plain, changed = block_trend(x, noise), block_trend(x, scale * noise + tilt * x)
    tolerance = 1e-9 * (scale + abs(tilt))
    assert changed.slope == pytest.approx(scale * plain.slope + tilt, abs=tolerance)
    assert changed.low == pytest.approx(scale * plain.low + tilt, abs=tolerance)
    assert changed.high == pytest.approx(scale * plain.high + tilt, abs=tolerance)


def moving_average(generator, count, window=3):
    return np.convolve(generator.normal(size=count + window - 1), np.ones(window) / window**0.5, "valid")


@pytest.mark.parametrize("count", [8, 20, 40])
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "student-t2"])
def test_the_interval_covers_the_truth_as_often_as_it_says(count, heavy):
    generator = np.random.default_rng(7)
    x, trials = np.arange(float(count)), 200
    hits = 0
    for _ in range(trials):
        noise = generator.standard_t(2, size=count) if heavy else generator.normal(size=count)
        trend = block_trend(x, 0.3 * x + noise)
        hits += trend.low <= 0.3 <= trend.high
    # 1 in 2,000 by chance if the coverage is 0.94.
    assert hits >= binom.ppf(5e-4, trials, 0.94)
    assert trials >= hits > 0


def test_neighbours_that_move_together_widen_the_interval():
    generator = np.random.default_rng(3)
    x, trials, hits = np.arange(30.0), 200, 0
    for _ in range(trials):
        trend = block_trend(x, 0.3 * x + moving_average(generator, 30))
        hits += trend.low <= 0.3 <= trend.high
    assert hits >= binom.ppf(5e-4, trials, 0.90)


def test_an_interval_that_covers_everything_would_be_no_interval():
    generator = np.random.default_rng(5)
    x = np.arange(40.0)
    widths = []
    for _ in range(50):
        trend = block_trend(x, generator.normal(size=40))
        widths.append(trend.high - trend.low)
    # The exact interval of least squares under normal noise of s.d. 1 is this wide.
    exact = 2 * student.ppf(0.975, 38) / math.sqrt(np.sum((x - x.mean()) ** 2))
    assert exact * 0.7 < np.median(widths) < exact * 2


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_a_quarter_of_wild_points_does_not_turn_the_line(share):
    generator = np.random.default_rng(11)
    x = np.arange(60.0)
    y = -0.5 * x + 0.1 * generator.normal(size=60)
    wild = generator.permutation(60)[: int(60 * share)]
    y[wild] += generator.choice([-1, 1], len(wild)) * 1e6
    trend = block_trend(x, y)
    assert trend.slope == pytest.approx(-0.5, abs=0.02)
    assert abs(np.polyfit(x, y, 1)[0] + 0.5) > 100


def test_points_that_are_not_finite_are_left_out():
    x = np.arange(20.0)
    y = 2 * x
    y[[0, 7, 19]] = np.nan, np.inf, -np.inf
    assert block_trend(x, y).slope == pytest.approx(2.0)
    assert math.isnan(block_trend(x, np.full(20, -np.inf)).slope)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_under_three_points_there_is_no_trend(count):
    trend = block_trend(np.arange(float(count)), np.ones(count))
    assert all(math.isnan(value) for value in (trend.slope, trend.low, trend.high))


def test_points_one_above_the_other_have_no_slope():
    assert math.isnan(theil_sen(np.ones(5), np.arange(5.0)))
    trend = block_trend(np.ones(5), np.arange(5.0))
    assert all(math.isnan(value) for value in (trend.slope, trend.low, trend.high))


def test_thousands_of_layers_are_thinned_evenly():
    x = np.arange(20_000.0)
    trend = block_trend(x, 1e-3 * x + np.sin(x))
    assert trend.low <= 1e-3 <= trend.high
    assert trend.slope == pytest.approx(1e-3, rel=1e-2)


def test_the_same_points_give_the_same_interval():
    x, y = np.arange(25.0), np.random.default_rng(0).normal(size=25)
    assert block_trend(x, y) == block_trend(x, y)
