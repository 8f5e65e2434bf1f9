"""What is heard of a sequence through the layers and directions of one recurrent module."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

T = 40
FALL = np.arange(T)[::-1]


def stacked(lanes, alone=0.0, loss=STUCK):
    """A net with a module `rnn`; lanes: "l0", "l1_reverse", … -> decades per step of that lane, the latest
    last; alone: decades of the loudest state without the recurrence.
    """
    net = Net(1)
    decades = [0.0, 0.0, 0.0]
    for lane, course in lanes.items():
        for t in range(T):
            net.add_layer(f"rnn.{lane}[t={t}]", "LSTM", 2, kind="time", module="rnn")
        net.add_layer(f"rnn.{lane}[step]", "LSTM", 2, kind="step", module="rnn")
        decades += [*course, alone]
    return net.scan(0, 10, 30, decades=np.array(decades)).train(loss)


def test_a_forgetful_lane_of_one_direction_is_found(judge):
    finding = judge.one(stacked({"l0": -0.25 * FALL, "l1": -0.25 * FALL}))
    assert (finding["code"], finding["severity"]) == ("LG102", "error")
    assert finding["evidence"]["factor_per_time_step"] == pytest.approx(10**-0.25)


def test_in_both_directions_what_is_lost_lies_in_the_middle(judge):
    # 40 steps each way at a quarter of a decade: the middle is 5 decades down.
    finding = judge.one(stacked({"l0": -0.25 * FALL, "l0_reverse": -0.25 * FALL}))
    assert finding["code"] == "LG102"
    assert finding["evidence"]["earliest_audibility_decades"] == pytest.approx(-0.25 * 19, abs=0.4)


def test_both_ends_within_reach_are_enough(judge):
    # One direction alone would lose 4.9 decades; from the nearer end it is 2.5.
    assert judge.codes(stacked({"l0": -0.125 * FALL, "l0_reverse": -0.125 * FALL})) == {}


def test_a_reverse_lane_read_at_its_first_step_alone_is_no_explosion(judge):
    # It is the lane above that forgets, and hears little of what this one ends with.
    lanes = {"l0": -0.05 * FALL, "l0_reverse": -0.05 * FALL[::-1]}
    assert judge.codes(stacked(lanes)) == {}


def test_growth_is_measured_against_what_there_would_be_without_the_recurrence(judge):
    finding = judge.one(stacked({"l0": 0.2 * FALL, "l0_reverse": 0.2 * FALL}))
    assert finding["code"] == "LG104"
    assert judge.codes(stacked({"l0": 0.2 * FALL, "l1": 0.2 * FALL}, alone=6.0)) == {}


def test_a_task_that_needs_no_reach_is_no_fault(judge):
    assert judge.codes(stacked({"l0": -0.25 * FALL, "l1": -0.25 * FALL}, loss=FALLING)) == {"LG102": "info"}


def test_a_module_that_nothing_is_heard_of_has_neither(judge):
    silent = np.full(T, -np.inf)
    assert judge.codes(stacked({"l0": silent, "l1": silent}, alone=-np.inf)) == {}
