"""A recurrence read along time, whichever way its steps are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.diagnose.invented_run import Net
from tests.diagnose.test_spine_profile import seen

from livegrad.diagnose.time_profile import time_profiles


def recurrent(steps, per_step, name="rnn[t={}]", first=0):
    net = Net(1)
    for step in range(first, first + steps):
        net.add_layer(name.format(step), "tanh", 2, kind="time")
    decades = np.zeros(net.size)
    decades[3:] = per_step * np.arange(steps)[::-1]
    return net, decades


@pytest.mark.parametrize("name", ["rnn[t={}]", "tanh#{}", "net.cell.1[t={}]"])
def test_the_factor_of_a_time_step_is_found(name):
    net, decades = recurrent(50, -0.2, name)
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert profile.name == name[: name.index("{") - (3 if "[" in name else 1)]
    assert profile.per_step_decades == pytest.approx(-0.2)
    assert len(profile.layers) == 50


@given(st.permutations(range(12)))
def test_steps_are_put_in_order_by_their_number_not_by_their_row(order):
    net, decades = recurrent(12, -0.3)
    order = [0, 1, 2, *(3 + i for i in order)]
    (profile,) = time_profiles(*seen(net, decades=decades, order=order))
    assert [layer.name for layer in profile.layers] == [f"rnn[t={i}]" for i in range(12)]
    assert np.all(np.diff(profile.relative) > 0)


def test_the_ninth_step_comes_before_the_tenth():
    net, decades = recurrent(12, -0.3, first=1)
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert [layer.name for layer in profile.layers][8:10] == ["rnn[t=9]", "rnn[t=10]"]


def test_a_long_sequence_read_at_every_seventh_step_has_the_same_factor():
    net = Net(1)
    for step in range(0, 140, 7):
        net.add_layer(f"rnn[t={step}]", "tanh", 2, kind="time")
    decades = np.r_[0.0, 0.0, 0.0, -0.05 * np.arange(0, 140, 7)[::-1]]
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert profile.per_step_decades == pytest.approx(-0.05)
    assert profile.length == 134 and len(profile.layers) == 20


def test_short_loops_are_not_recurrences():
    net, decades = recurrent(7, -1.0)
    assert time_profiles(*seen(net, decades=decades)) == []


def test_depth_layers_with_such_names_are_not_time():
    net = Net(1)
    for step in range(20):
        net.add_layer(f"block#{step}", "relu", 3 + step)
    assert time_profiles(*seen(net)) == []


def test_two_recurrences_are_kept_apart():
    net, decades = recurrent(10, -0.1)
    for step in range(10):
        net.add_layer(f"other#{step}", "tanh", 2, kind="time")
    decades = np.r_[decades, -0.4 * np.arange(10)[::-1]]
    found = {profile.name: profile.per_step_decades for profile in time_profiles(*seen(net, decades=decades))}
    assert found == {"rnn": pytest.approx(-0.1), "other": pytest.approx(-0.4)}


def test_steps_that_underflow_to_silence_do_not_spoil_the_factor():
    net, decades = recurrent(40, -0.5)
    decades[3:13] = -np.inf
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert profile.per_step_decades == pytest.approx(-0.5)
    assert np.isneginf(profile.relative[:10]).all()


def test_a_recurrence_that_the_output_does_not_hear_at_all_has_no_profile():
    net, decades = recurrent(20, 0.0)
    decades[3:] = -np.inf
    assert time_profiles(*seen(net, decades=decades)) == []


def test_one_audible_step_gives_no_factor():
    net, decades = recurrent(20, 0.0)
    decades[3:-1] = -np.inf
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert np.isnan(profile.per_step_decades)


def test_outputs_read_at_every_step_are_measured_against_the_loudest_late_one():
    net, decades = recurrent(30, -0.1)
    decades[-1] = -2.0  # the very last step barely counts
    (profile,) = time_profiles(*seen(net, decades=decades))
    assert profile.relative[-2] == 0.0
