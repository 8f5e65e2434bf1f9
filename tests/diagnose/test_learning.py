"""Courses of a loss that a person would call falling, flat or rising are called so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livegrad.diagnose.learning import judge_learning


def noise(count, size, seed=0):
    return size * np.random.default_rng(seed).normal(size=count)


T = np.arange(200.0)
COURSES = {
    "falling": [
        0.5 + 2.0 * np.exp(-T / 120),
        0.5 + 2.0 * np.exp(-T / 120) + noise(200, 0.05),
        2.3 - 0.005 * T + noise(200, 0.02),
        -T / 100.0,  # a log density
        np.r_[2.3, 50.0 * np.exp(-np.arange(150) / 30)],  # jumps up at once, then comes down under its start
        np.r_[0.5 + 2.0 * np.exp(-T / 120), np.full(50, np.nan)],
    ],
    "converged": [
        0.05 + 2.25 * np.exp(-T / 10),
        2.3 * np.exp(-T / 20) + np.abs(noise(200, 0.01)),
        np.r_[3.0, 2.0, np.full(60, 0.1)],
    ],
    "flat": [
        2.303 + noise(200, 0.003),
        2.3 + noise(200, 0.3),
        2.303 + 0.15 * np.exp(-T / 5) + noise(200, 0.01),  # learns the biases of its head, then nothing
        np.full(50, 0.7),
        np.zeros(50),
        np.r_[100.0, np.full(60, 2.3)],  # one bad start is no learning
        np.r_[2.3, 40.0, 9.0, 4.0, np.full(60, 2.3)],  # nor is coming back to where it began
    ],
    "rising": [
        0.5 * np.exp(T / 100),
        2.3 + 0.01 * T + noise(200, 0.05),
        np.r_[np.exp(np.arange(60) / 5.0), np.full(3, np.inf), np.full(40, np.nan)],
        -2.0 + T / 100.0,
    ],
}


@pytest.mark.parametrize(
    "state, loss", [(state, loss) for state, courses in COURSES.items() for loss in courses]
)
def test_each_course_has_its_name(state, loss):
    learning = judge_learning(loss)
    assert learning.state == state
    assert learning.is_learning == (state in ("falling", "converged"))


@pytest.mark.parametrize("state", COURSES)
@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-8, 1e8))
def test_the_unit_of_the_loss_does_not_matter(state, scale):
    for loss in COURSES[state]:
        plain, scaled = judge_learning(loss), judge_learning(scale * loss)
        assert scaled.state == state
        assert scaled.last == pytest.approx(scale * plain.last)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60), st.integers(-30, 30))
def test_any_course_is_judged_alike_in_any_unit(values, power):
    # A power of two changes no digit.
    loss = np.array(values)
    assert judge_learning(loss * 2.0**power).state == judge_learning(loss).state


def test_under_eight_losses_nothing_is_said():
    for count in range(8):
        assert judge_learning(np.linspace(2.3, 0.5, count)).state == "unknown"
    assert judge_learning(np.r_[2.3, np.full(300, np.nan)]).state == "unknown"
    assert judge_learning(np.linspace(2.3, 0.5, 8)).state == "falling"


def test_without_a_finite_loss_no_number_is_made_up():
    for loss in (np.array([]), np.full(9, np.nan), np.full(9, np.inf)):
        learning = judge_learning(loss)
        assert learning.state == "unknown" and not learning.is_learning
        assert all(math.isnan(value) for value in (learning.first, learning.last, learning.best))


def test_where_non_finite_losses_stand_does_not_matter():
    loss = 0.5 + 2.0 * np.exp(-T / 120)
    holed = np.insert(loss, [3, 50, 120], [np.nan, np.inf, -np.inf])
    assert judge_learning(holed) == judge_learning(loss)


@pytest.mark.parametrize("count, most", [(8, 20), (12, 20), (40, 20), (200, 20)])
def test_pure_noise_is_seldom_taken_for_a_course(count, most):
    # Three standard errors on either side: about 1 in 370 by chance, and never over 1 in 10 of 200 runs.
    generator = np.random.default_rng(1)
    named = [judge_learning(2.3 + 0.2 * generator.normal(size=count)).state for _ in range(200)]
    assert sum(state != "flat" for state in named) <= most


def test_a_curriculum_whose_stages_get_no_easier_is_not_called_rising():
    stage = 0.3 + 0.7 * np.exp(-np.arange(50) / 10)
    assert judge_learning(np.tile(stage, 4)).state != "rising"


def test_a_curriculum_whose_every_stage_ends_lower_is_learning():
    stages = [size * (0.3 + 0.7 * np.exp(-np.arange(50) / 10)) for size in (2.0, 1.4, 1.0, 0.6)]
    assert judge_learning(np.concatenate(stages)).is_learning


def test_levels_are_robust_to_a_single_wild_step():
    loss = 2.3 + noise(100, 0.01)
    loss[[20, 99]] = 1e9
    learning = judge_learning(loss)
    assert learning.state == "flat"
    assert learning.last == pytest.approx(2.3, abs=0.05)
