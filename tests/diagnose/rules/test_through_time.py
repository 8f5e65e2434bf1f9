"""LG102 and LG104: what a recurrence hears of the past, judged by whether the task needed it."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

from livegrad.diagnose.rules.through_time import REACH_DECADES

T = 50


def recurrent(per_step, loss=STUCK, scans=(0, 10, 30), steps=T, later=None):
    net = Net(1, "Tanh")
    for step in range(steps):
        made = f"net.py:{40}"
        net.add_layer(
            f"rnn.tanh[t={step}]", "tanh", 2, kind="time", tensors=[0], operator="TanhBackward0", made=made
        )
    for scan in scans:
        factor = per_step if later is None or scan == scans[0] else later
        decades = np.zeros(net.size)
        decades[3:] = factor * np.arange(steps)[::-1]
        net.scan(scan, decades=decades)
    return net.train(loss)


@pytest.mark.parametrize("loss, severity", [(STUCK, "error"), (RISING, "error"), (FALLING, "info")])
def test_forgetting_is_a_fault_only_where_the_task_needs_the_reach(judge, loss, severity):
    finding = judge.one(recurrent(-0.25, loss))
    assert (finding["code"], finding["name"], finding["severity"]) == (
        "LG102",
        "vanishing-through-time",
        severity,
    )
    assert finding["evidence"]["factor_per_time_step"] == pytest.approx(10**-0.25)
    assert finding["evidence"]["time_steps"] == T
    # The earliest tenth lies 12.25 … 11.25 decades down; its median at 11.75.
    assert finding["evidence"]["earliest_audibility_decades"] == pytest.approx(-0.25 * 47)
    assert finding["layers"][:2] == ["rnn.tanh", "rnn.tanh[t=0]"]
    # Those over three decades down: 0.25 · 12 is not.
    assert finding["layers"][-1] == f"rnn.tanh[t={T - 1 - 12}]"
    assert finding["source"] == "net.py:40"
    assert finding["cause"]["operator"] == "tanh"
    assert (finding["first_step"], finding["last_step"]) == (0, 30)


def test_before_the_loss_is_known_it_is_a_warning(judge):
    assert judge.codes(recurrent(-0.25, STUCK[:5])) == {"LG102": "warning"}


@pytest.mark.parametrize("loss, severity", [(STUCK, "error"), (FALLING, "warning")])
def test_an_explosion_through_time_is_found(judge, loss, severity):
    finding = judge.one(recurrent(0.21, loss))
    assert (finding["code"], finding["name"], finding["severity"]) == (
        "LG104",
        "exploding-through-time",
        severity,
    )
    assert finding["evidence"]["factor_per_time_step"] == pytest.approx(10**0.21)
    # Over three decades above the loudest of the latest five: those 15 steps or more before it.
    assert finding["layers"][:2] == ["rnn.tanh", "rnn.tanh[t=0]"]
    assert finding["layers"][-1] == f"rnn.tanh[t={T - 5 - 15}]"
    assert {remedy["name"] for remedy in finding["remedies"]} == {"recurrent", "clip"}


def test_clipping_is_no_remedy_for_forgetting(judge):
    finding = judge.one(recurrent(-0.25))
    assert {remedy["name"] for remedy in finding["remedies"]} == {"recurrent"}
    assert "Clipping does not help" in finding["next"]


@pytest.mark.parametrize("per_step", [0.0, -0.02, 0.02])
def test_a_recurrence_that_remembers_is_healthy(judge, per_step):
    assert judge.codes(recurrent(per_step)) == {}


@pytest.mark.parametrize("sign, distance, code", [(-1, 47, "LG102"), (1, 43, "LG104")])
def test_the_reach(judge, sign, distance, code):
    # The median of the earliest tenth of 50 steps is 47 steps from the end; where the signal grows back in
    # time, the loudest of the latest tenth is its first, 43 steps away.
    edge = REACH_DECADES / distance
    assert judge.codes(recurrent(sign * edge * 1.03)) == {code: "error"}
    assert judge.codes(recurrent(sign * edge * 0.97)) == {}


def test_a_network_that_learnt_to_remember_is_healthy(judge):
    assert judge.codes(recurrent(-0.25, later=-0.01)) == {}


def test_steps_that_are_exactly_silent_are_the_worst_forgetting(judge):
    net = Net(1)
    for step in range(30):
        net.add_layer(f"rnn[t={step}]", "tanh", 2, kind="time")
    decades = np.r_[np.zeros(3), np.full(20, -np.inf), np.linspace(-5, 0, 10)]
    finding = judge.one(net.scan(0, 10, decades=decades).train(STUCK))
    assert finding["code"] == "LG102" and "all of it, in this precision" in finding["message"]


def test_time_is_not_depth(judge):
    # The same decay along a spine would be LG101; a recurrence is judged by LG102 alone.
    assert judge.codes(recurrent(-0.5)).keys() == {"LG102"}


def test_of_several_operations_a_step_the_one_that_keeps_the_past_speaks(judge):
    # The state of an LSTM's cell passes on what its gates do not.
    net = Net(1)
    decades = [0.0, 0.0, 0.0]
    for part, factor in (("gate", -0.5), ("cell", 0.0)):
        for step in range(20):
            net.add_layer(f"lstm.{part}[t={step}]", part, 2, kind="time")
            decades.append(factor * (19 - step))
    assert judge.codes(net.scan(0, 10, decades=decades).train(STUCK)) == {}


def of_rectifiers(per_step, loss=STUCK, output=1e6):
    """A loop that is heard alike at all steps while its state grows, as homogeneous operations do."""
    net = Net(1)
    for step in range(40):
        net.add_layer(f"cell[t={step}]", "RNNCell", 2, kind="time", tensors=[0])
    sizes = np.r_[np.ones(3), 10.0 ** (per_step * np.arange(40))]
    return net.scan(0, 10, 30, output=output, activation_rms=sizes).train(loss)


def test_a_state_that_explodes_alike_for_all_to_hear_is_found(judge):
    findings = judge.report(of_rectifiers(0.25)).findings
    finding = next(f for f in findings if f["code"] == "LG104")
    assert finding["severity"] == "error"
    # From the median of steps 0 to 3 to that of steps 36 to 39.
    assert finding["evidence"]["state_growth_decades"] == pytest.approx(0.25 * 36)
    assert finding["evidence"]["factor_per_time_step"] == pytest.approx(10 ** (0.25 * 36 / 39))


@pytest.mark.parametrize(
    "net",
    [of_rectifiers(0.25, loss=FALLING), of_rectifiers(0.25, output=0.4), of_rectifiers(0.05)],
    ids=["learns all the same", "outputs of their unit's size", "two decades"],
)
def test_a_state_that_grows_is_no_fault_by_itself(judge, net):
    assert "LG104" not in judge.codes(net)
