"""LG103: found where early layers move the output far more than their size warrants."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

from livegrad.diagnose.rules.exploding_gradient import CEILING_DECADES, OVERFLOW_DECADES

EVIDENCE = {
    "audibility_of_first_layer",
    "audibility_slope_decades_per_layer",
    "audibility_slope_interval",
    "output_size_in_its_unit",
    "gradient_transport_decades",
    "turnover_steps",
    "loss_at_start",
    "loss_at_end",
}


def loud(decades=8.0, activation="Tanh", scans=(0, 10, 30), loss=STUCK, width=256, blocks=12, **train):
    net = Net(blocks, activation, width=width)
    net.scan(*scans, decades=net.ramp(decades))
    return net.train(loss, **train)


def test_early_layers_that_drown_the_output_are_found_and_named(judge):
    finding = judge.one(loud())
    assert (finding["code"], finding["name"]) == ("LG103", "exploding-gradient")
    assert finding["severity"] == "error"
    # 24 steps of a third of a decade; over +3 from layers.0 (8.0) to acts.7 (3.0 is not over).
    assert finding["layers"][0] == "layers.0" and finding["layers"][-1] == "layers.7"
    assert finding["evidence"].keys() == EVIDENCE
    assert finding["evidence"]["audibility_of_first_layer"] == pytest.approx(1e8)
    assert finding["cause"]["operator"] == "Linear" and finding["cause"]["decades"] > 0
    assert (finding["first_step"], finding["last_step"]) == (0, 30)
    assert int(finding["source"].removeprefix("net.py:")) % 2 == 0  # Linears stand at even depths


@pytest.mark.parametrize("loss, severity", [(STUCK, "error"), (RISING, "error"), (FALLING, "warning")])
def test_severity_follows_the_loss(judge, loss, severity):
    assert judge.codes(loud(loss=loss)) == {"LG103": severity}


def test_an_explosion_at_the_start_counts_if_training_did_not_get_over_it(judge):
    def born_loud(loss):
        net = Net(12, "Tanh")
        return judge.codes(net.scan(0, decades=net.ramp(8)).scan(10, 30).train(loss))

    assert born_loud(FALLING) == {}
    assert born_loud(STUCK) == {"LG103": "error"}


@pytest.mark.parametrize("beyond, found", [(0.1, True), (-0.1, False)])
def test_the_ceiling(judge, beyond, found):
    assert ("LG103" in judge.codes(loud(CEILING_DECADES + beyond))) is found


def test_finite_width_alone_is_no_fault(judge):
    # Width 4, 30 layers: β = 5 · 30 / 4, so one standard deviation of the finite-width law is 1.3 decades.
    assert judge.codes(loud(3.2, width=4, blocks=30)) == {}
    assert judge.codes(loud(3.2, width=512, blocks=30)) == {"LG103": "error"}


def test_an_output_far_too_large_for_its_unit_is_loud_by_itself(judge):
    finding = judge.one(Net(4, outputs=10).scan(0, 10, 30, output=1e5).train(STUCK))
    assert finding["code"] == "LG103" and "larger than its unit" in finding["message"]
    assert finding["evidence"]["output_size_in_its_unit"] == pytest.approx(1e5 / 10**0.5)


def test_activations_that_overflow_leave_no_audibility_but_a_trace(judge):
    net = Net(30, "ReLU")
    size = 10.0 ** np.linspace(0, 45, net.size)
    size[size > 3e38] = np.inf
    unknown = np.full(net.size, np.nan)
    net.scan(0, 10, activation_rms=size, audibility=unknown, nonfinite=np.where(np.isinf(size), 9, 0))
    report = judge.report(net.train([np.nan] * 30, bad_gradient=1))
    found = {finding["code"]: finding for finding in report.findings}
    assert found["LG103"]["severity"] == "error"
    assert found["LG103"]["evidence"]["activation_growth_decades"] > OVERFLOW_DECADES
    assert found["LG103"]["evidence"]["activation_slope_decades_per_layer"] == pytest.approx(45 / 60)
    # Three decades over the first are passed after 4 of 60 steps of 3/4 decade.
    assert found["LG103"]["layers"][0] == "acts.2" and found["LG103"]["layers"][-1] == "acts.25"
    assert found["LG103"]["source"] == "net.py:15"
    assert "LG301" in found


def test_an_overflow_born_in_training_is_not_put_down_to_the_initialization(judge):
    net = Net(30, "ReLU").scan(0)
    size = 10.0 ** np.linspace(0, 45, net.size)
    size[size > 3e38] = np.inf
    net.scan(10, activation_rms=size, audibility=np.nan, nonfinite=np.where(np.isinf(size), 9, 0))
    loss = np.r_[STUCK[:8], [np.nan] * 10]
    bad = {"": lambda step: 1 if step >= 8 else 0}
    assert judge.codes(net.train(loss, bad_gradient=bad)) == {"LG301": "error"}


def test_large_activations_that_do_not_grow_with_depth_are_another_matter(judge):
    net = Net(10)
    size = np.where(np.arange(net.size) > 15, np.inf, 1.0)
    net.scan(0, 10, activation_rms=size, nonfinite=np.where(np.isinf(size), 9, 0))
    assert judge.codes(net.train([np.nan] * 30, bad_gradient=1)) == {"LG301": "error"}


def test_quiet_networks_do_not_explode(judge):
    assert judge.codes(loud(0.0)) == {}
    assert "LG103" not in judge.codes(loud(-8.0))


@pytest.mark.parametrize("size, codes", [(3.4, {}), (40.0, {"LG103": "warning"})])
def test_two_small_excesses_are_no_explosion(judge, size, codes):
    # 2.6 decades over depth, and an output of so many times its unit.
    net = Net(8).scan(0, 10, 30, decades=Net(8).ramp(2.6), output=size * 10**0.5)
    assert judge.codes(net.train(FALLING)) == codes
