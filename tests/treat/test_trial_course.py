"""The level a loss came down to."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from livegrad.treat.trial.course import Course


def course(values):
    return Course(np.arange(len(values)), np.asarray(values, float))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300))
def test_level_and_best_lie_among_the_losses(values):
    one = course(values)
    assert min(values) - 1e-6 <= one.best <= one.level + 1e-6 <= max(values) + 2e-6


def test_the_level_is_the_mean_of_the_last_tenth():
    assert course([5.0] * 90 + [1.0, 3.0] * 5).level == 2.0


def test_a_loss_that_ends_as_nan_is_infinite_however_low_it_was():
    one = course([2.0] * 50 + [0.5] * 30 + [math.nan] * 20)
    assert one.diverged and one.level == math.inf
    assert one.best == 0.5


def test_a_step_that_a_loss_scaler_skips_is_no_divergence():
    values = np.full(200, 0.7)
    values[195] = math.inf
    assert abs(course(values).level - 0.7) < 1e-12
    values[[181, 184, 188, 190]] = math.nan
    assert course(values).level == math.inf


def test_nan_from_the_very_first_step_has_no_best():
    assert course([math.nan] * 40).best == math.inf


def test_a_loss_that_explodes_within_a_tenth_is_as_good_as_it_began():
    assert course([2.3, 9.0, 1e9] + [math.nan] * 197).best == 2.3


def test_until_counts_steps_not_losses():
    one = Course(np.array([0, 10, 20, 30]), np.array([4.0, 3.0, 2.0, 1.0]))
    assert len(one.until(20)) == 2
