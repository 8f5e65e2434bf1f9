"""LG201: activations that sit in their flat parts."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

from livegrad.diagnose.patient import Patient
from livegrad.diagnose.rules.saturation import FEWEST_ENTRIES, NEARLY_ALL, SATURATED_SHARE, find


def column(net, shares, otherwise=np.nan):
    """A scan's column that holds these values at the named layers."""
    return [shares.get(layer["name"], otherwise) for layer in net.layers]


def tanh_net(shares, scans=(0, 10, 30), **columns):
    net = Net(3, "Tanh")
    return net.scan(*scans, saturated=column(net, shares), **columns)


def test_a_saturated_layer_is_found_and_named(judge):
    net = Net(3, "Tanh")
    slope = column(net, {"acts.1": 0.04, "acts.0": 0.8, "acts.2": 0.8})
    sizes = column(net, {"layers.1": 40.0}, otherwise=1.0)
    net.scan(
        0,
        10,
        30,
        saturated=column(net, {"acts.0": 0.1, "acts.1": 0.97}),
        activation_slope=slope,
        activation_rms=sizes,
    )
    finding = judge.one(net.train(STUCK))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG201", "saturation", "error")
    assert finding["layers"] == ["acts.1"] and finding["layers_text"] == "acts.1"
    assert finding["source"] == "net.py:13"
    assert finding["evidence"] == {
        "saturated_share": pytest.approx(0.97),
        "rms_slope": pytest.approx(0.04),
        "rms_of_inputs": pytest.approx(40.0),
        "layers_saturated": 1,
        "first_seen_step": 0,
    }
    assert finding["cause"]["operator"] == "Tanh"
    assert (finding["first_step"], finding["last_step"]) == (0, 30)


def test_several_are_named_input_side_first(judge):
    finding = judge.one(tanh_net({"acts.2": 0.9, "acts.0": 0.99}).train(STUCK))
    assert finding["layers"] == ["acts.0", "acts.2"] and "acts.0" in finding["message"]


@pytest.mark.parametrize(
    "share, loss, codes",
    [
        (SATURATED_SHARE + 0.02, STUCK, {"LG201": "error"}),
        (SATURATED_SHARE - 0.02, STUCK, {}),
        (NEARLY_ALL + 0.02, FALLING, {"LG201": "warning"}),
        (NEARLY_ALL - 0.02, FALLING, {}),  # it learns all the same
        (np.nan, STUCK, {}),  # an activation that cannot saturate
    ],
)
def test_how_much_is_too_much(judge, share, loss, codes):
    assert judge.codes(tanh_net({"acts.1": share}).train(loss)) == codes


def test_a_layer_that_came_back_is_forgotten(judge):
    net = tanh_net({"acts.1": 0.99}, scans=(0, 10))
    assert judge.codes(net.scan(30, saturated=column(net, {"acts.1": 0.2})).train(STUCK)) == {}


def test_what_is_born_later_is_said_to_be_the_steps_doing(judge):
    """Tanh at rest, driven to its ends by large steps: no other start would help, a lower rate does."""
    net = tanh_net({"acts.1": 0.1}, scans=(0,))
    for step in (10, 30, 60):
        net.scan(step, saturated=column(net, {"acts.1": 0.99}))
    finding = judge.one(net.train(STUCK))
    assert finding["code"] == "LG201" and finding["evidence"]["first_seen_step"] == 10
    assert "too large" in finding["cause"]["summary"]


@pytest.mark.parametrize("samples, found", [(FEWEST_ENTRIES, True), (FEWEST_ENTRIES - 1, False)])
def test_a_handful_of_entries_says_nothing(judge, samples, found):
    net = tanh_net({"acts.1": 1.0}, samples=samples, width=1)
    assert (judge.codes(net.train(STUCK)) != {}) is found


@pytest.mark.parametrize(
    "loss, residual, codes",
    [
        (FALLING, 0.1, {}),
        (STUCK, 1e-3, {}),  # sure, and right
        (STUCK, 0.5, {"LG201": "error"}),  # sure, and wrong
        (STUCK, np.nan, {}),  # sure, and nobody knows
    ],
)
def test_a_final_sigmoid_may_be_sure_of_the_right_answer(judge, loss, residual, codes):
    net = Net(3, "ReLU")
    net.add_layer("sigmoid", "Sigmoid", 7, width=10, kind="branch")
    net.scan(0, 10, 30, saturated=column(net, {"sigmoid": 0.99}), residual=residual)
    assert judge.codes(net.train(loss)) == codes


def test_a_branch_below_the_output_is_no_output_link(judge):
    net = Net(3, "ReLU")
    net.add_layer("gate", "Sigmoid", 3, kind="branch")
    net.scan(0, 10, 30, saturated=column(net, {"gate": 0.99}))
    assert judge.codes(net.train(STUCK)) == {"LG201": "error"}


@pytest.mark.parametrize("operator, codes", [("Mul", {}), ("Add", {"LG201": "error"})])
def test_a_gate_may_be_open_or_shut(judge, operator, codes):
    net = Net(3, "ReLU")
    join = net.add_layer("join", operator.lower(), 7, operator=operator)
    net.add_layer("gate", "Sigmoid", 7, kind="branch", segment=join, path=2)
    net.scan(0, 10, 30, saturated=column(net, {"gate": 0.99}))
    assert judge.codes(net.train(STUCK)) == codes


def test_gates_of_a_recurrence_are_not_judged(judge):
    net = Net(3, "ReLU")
    for step in range(8):
        net.add_layer(f"cell.sigmoid[t={step}]", "Sigmoid", 2, kind="time")
    net.scan(0, 10, 30, saturated=[0.99 if layer["kind"] == "time" else np.nan for layer in net.layers])
    assert judge.codes(net.train(STUCK)) == {}


def test_the_cause_is_what_made_its_inputs_large(judge):
    net = Net(3, "Tanh")
    sizes = column(net, {"layers.1": 40.0}, otherwise=0.8)
    net.scan(0, 10, 30, saturated=column(net, {"acts.1": 0.97}), activation_rms=sizes)
    cause = judge.one(net.train(STUCK))["cause"]
    assert "layers.1 (Linear) makes what it is given 50 times as large" in cause["summary"]
    assert cause["source"] == "net.py:12" and cause["operator"] == "Tanh"


def test_data_that_come_in_large_are_named(judge):
    net = Net(3, "Tanh")
    net.add_layer("input", "input", 0, kind="input")
    sizes = column(net, {"layers.0": 300.0, "input": 500.0}, otherwise=0.8)
    net.scan(0, 10, 30, saturated=column(net, {"acts.0": 0.97}), activation_rms=sizes)
    run = judge.run(net.train(STUCK))
    (found,) = find(Patient(run, run.subjects[0]))
    assert found.cause is not None and "the data come in with an rms of 500" in found.cause.summary


def test_saturation_is_never_called_an_explosion(judge):
    net = Net(12, "Tanh")
    shares = {f"acts.{i}": 0.98 for i in range(12)}
    net.scan(0, 10, 30, decades=net.ramp(-9), saturated=column(net, shares))
    assert judge.codes(net.train(STUCK)).keys() == {"LG101", "LG201"}


def test_a_layer_unknown_to_the_last_scan_is_not_judged(judge):
    net = tanh_net({"acts.1": 0.99}, scans=(0, 10, 30))
    net.scans[-1] = type(net.scans[-1])(
        step=30,
        subject=0,
        **{
            name: getattr(net.scans[-1], name)[:2]
            for name in net.scans[-1].__dataclass_fields__
            if name not in ("step", "subject")
        },
    )
    assert judge.codes(net.train(STUCK)) == {}


def softmax_net(shares, loss):
    """shares: of the softmax, scan by scan."""
    net = Net(3, "Softmax")
    for step, share in zip((0, 10, 30), shares, strict=True):
        net.scan(step, saturated=column(net, {"acts.1": share}))
    return net.train(loss)


def test_weights_that_were_all_or_nothing_before_anything_was_learnt_are_a_fault(judge):
    finding = judge.one(softmax_net((0.99, 0.99, 0.99), STUCK))
    assert (finding["code"], finding["severity"]) == ("LG201", "error")
    assert "scores are far apart" in finding["cause"]["summary"]


def test_weights_that_became_so_or_are_learnt_with_are_none(judge):
    assert judge.codes(softmax_net((0.1, 0.99, 0.99), STUCK)) == {}
    assert judge.codes(softmax_net((0.99, 0.99, 0.99), FALLING)) == {}
