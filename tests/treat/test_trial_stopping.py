"""When a running arm is ended, and when it must not be."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from livegrad.treat.trial.course import Course
from livegrad.treat.trial.stopping import LOOKS, Look, broken, due, hopeless, looks_at, lost


def course(values):
    return Course(np.arange(len(values)), np.asarray(values, float))


def noisy(level, steps, seed=0, spread=0.05):
    return course(level + spread * np.random.default_rng(seed).standard_normal(steps))


@given(st.floats(0.1, 10), st.floats(0, 0.2), st.integers(0, 1000))
def test_a_healthy_arm_is_never_stopped_for_its_loss(level, spread, seed):
    """A plateau is no proof: a recurrent net may find its task after it."""
    assert hopeless(Look(noisy(level, 200, seed, spread), noisy(0.01, 400), errors=())) is None


def test_as_sick_as_before_and_no_lower_is_hopeless():
    why = hopeless(Look(noisy(2.3, 200), noisy(2.3, 400, seed=1), errors=("LG101",)))
    assert why is not None and "LG101" in why


def test_lower_than_the_control_goes_on_whatever_its_report_says():
    assert hopeless(Look(noisy(1.5, 200), noisy(2.3, 400, seed=1), errors=("LG101",))) is None


def test_the_control_is_read_at_the_same_step():
    """The control came down later; so far the arm was lower."""
    control = course([2.3] * 200 + [0.1] * 200)
    assert hopeless(Look(noisy(1.9, 200, spread=0.01), control, errors=("LG102",))) is None


def test_losses_that_are_not_written_yet_are_not_held_against_an_arm():
    """Known are its first hundred steps and the one that was recorded last."""
    arm = course(np.geomspace(60, 2, 251)).at(np.array([*range(100), 250]))
    control = course([*np.geomspace(80, 8, 251), *[8.0] * 250])
    assert arm.level > control.until(251).level
    assert hopeless(Look(arm, control, errors=("LG103",))) is None


def test_lower_than_a_leaping_control_ever_was_is_better_than_it():
    leaps = np.exp(np.random.default_rng(0).normal(3, 1.5, 300))
    arm = noisy(0.2, 300, spread=0.01)
    assert course(leaps).level - 3 * course(leaps).noise < 0.2
    assert hopeless(Look(arm, course(leaps), errors=("LG103",))) is None
    assert hopeless(Look(course(leaps[::-1]), course(leaps), errors=("LG103",))) is not None


def test_nothing_is_hopeless_beside_a_control_that_diverged():
    control = course([2.3] * 20 + [math.nan] * 380)
    assert hopeless(Look(noisy(2.3, 200), control, errors=("LG102",))) is None


def test_an_arm_whose_loss_breaks_is_ended_at_once_unless_the_control_broke_too():
    arm = course([2.3] * 20 + [math.nan] * 5)
    assert broken(arm, noisy(2.3, 400)) == "its loss is not finite from step 20 on"
    assert broken(arm, arm) is None
    assert broken(course([2.3] * 20 + [math.inf]), noisy(2.3, 400)) is None  # one skipped step


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_looks_are_taken_once_each_in_order(budget, steps):
    looked = 0
    while due(steps, budget, looked):
        looked += 1
    assert looked == sum(steps >= share * budget for share in (1 / 3, 1 / 2, 3 / 4))


def test_a_recurrence_that_was_started_anew_may_stand_for_most_of_the_way():
    assert looks_at(["init", "clip"]) == LOOKS
    (last,) = looks_at(["recurrent", "clip"])
    assert not due(370, 500, 0, (last,)) and due(375, 500, 0, (last,)) and not due(499, 500, 1, (last,))


def test_further_seeds_are_spared_only_what_lost_and_is_still_sick():
    assert lost(2.3, 2.3, 0.01, ["LG101"]) is not None
    assert lost(2.3, 2.3, 0.01, []) is None
    assert lost(1.0, 2.3, 0.01, ["LG101"]) is None
    assert lost(math.inf, 2.3, 0.01, []) == "its loss diverged"
    assert lost(math.inf, math.inf, 0.01, []) is None
