"""LG101: found where layers cannot be heard at the output, and nowhere else."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

from livegrad.diagnose.rules.vanishing_gradient import FLOOR_DECADES, HARMFUL_DECADES

EVIDENCE = {
    "audibility_of_first_layer",
    "audibility_slope_decades_per_layer",
    "audibility_slope_interval",
    "finite_width_alone_decades",
    "gradient_transport_decades",
    "turnover_steps",
    "turnover_of_other_layers_steps",
    "loss_at_start",
    "loss_at_end",
}
# The first half of the net moves this much slower than the rest.
LEFT_BEHIND = {f"layers.{i}": 1e-9 for i in range(8)}


def deep(decades=-8.0, activation="Sigmoid", scans=(0, 10, 30), loss=STUCK, **train):
    net = Net(12, activation)
    net.scan(*scans, decades=net.ramp(decades))
    return net.train(loss, **train)


def test_early_layers_that_cannot_be_heard_are_found_and_named(judge):
    finding = judge.one(deep(ratio=LEFT_BEHIND))
    assert (finding["code"], finding["name"]) == ("LG101", "vanishing-gradient")
    assert finding["severity"] == "error"
    # 24 steps of a third of a decade: the layers up to acts.7 lie under −3; acts have nothing to train.
    assert finding["layers"] == [f"layers.{i}" for i in range(8)]
    assert finding["layers_text"] == "layers.0 … layers.7 (8 layers)"
    assert finding["subject"] == "model"
    assert (finding["first_step"], finding["last_step"]) == (0, 30)
    assert "8.0 decades" in finding["message"] and "head" in finding["message"]


def test_the_evidence_is_what_was_measured(judge):
    finding = judge.one(deep(ratio=LEFT_BEHIND))
    evidence = finding["evidence"]
    assert evidence.keys() == EVIDENCE
    assert evidence["audibility_of_first_layer"] == pytest.approx(1e-8)
    assert evidence["audibility_slope_decades_per_layer"] == pytest.approx(1 / 3)
    assert evidence["gradient_transport_decades"] == pytest.approx(-8)
    assert evidence["turnover_steps"] == pytest.approx(1e9)
    assert evidence["turnover_of_other_layers_steps"] == pytest.approx(1e3)
    assert evidence["loss_at_end"] == pytest.approx(2.303, abs=0.01)


def test_the_source_is_where_the_blamed_operation_was_made(judge):
    finding = judge.one(deep())
    assert finding["cause"]["operator"] == "Sigmoid"
    depth = int(finding["source"].removeprefix("net.py:")) - 10
    assert depth % 2 == 1  # the activations stand at odd depths


@pytest.mark.parametrize(
    "activation, remedies, advice",
    [
        ("Sigmoid", ["activation", "normalize", "skip"], "Replace Sigmoid"),
        ("ReLU", ["init", "normalize", "skip"], "Initialize the weights"),
    ],
)
def test_the_remedy_fits_the_cause(judge, activation, remedies, advice):
    finding = judge.one(deep(activation=activation))
    assert [remedy["name"] for remedy in finding["remedies"]] == remedies
    assert finding["next"].startswith(advice)
    assert "clip" not in str(finding["remedies"]) + finding["next"].lower()


def test_a_better_activation_is_promised_what_theory_gives_it(judge):
    predicted = judge.one(deep())["remedies"][0]["predicted"]
    assert predicted["backward_factor_per_layer_now_at_best"] == pytest.approx(0.3909, abs=1e-4)
    assert predicted["with_relu"] == 1.0


@pytest.mark.parametrize(
    "loss, ratio, severity",
    [
        (STUCK, LEFT_BEHIND, "error"),
        (STUCK, 1e-3, "error"),  # moved, but nothing is learnt: a random walk
        (RISING, 1e-3, "error"),
        (FALLING, LEFT_BEHIND, "warning"),
        (FALLING, 1e-3, "info"),  # Adam makes up for it
    ],
)
def test_severity_follows_harm(judge, loss, ratio, severity):
    finding = judge.one(deep(loss=loss, ratio=ratio))
    assert (finding["code"], finding["severity"]) == ("LG101", severity)
    assert ("makes up for it" in finding["message"]) == (severity == "info")


@pytest.mark.parametrize("how", [{"eps": 0.95}, {"swallowed": 0.9}, {"ratio": 1e-9}])
def test_an_optimizer_that_does_not_make_up_for_it_is_no_excuse(judge, how):
    assert judge.codes(deep(loss=FALLING, **how)).get("LG101") == "warning"


def test_a_converged_network_has_small_gradients_and_is_healthy(judge):
    net = Net(12).scan(0, 10, 30, gradient_rms=1e-12)
    assert judge.codes(net.train(0.001 + FALLING, gradient=1e-12)) == {}


def test_gradients_play_no_part_only_audibility_does(judge):
    net = Net(12)
    net.scan(0, 10, 30, transport=net.ramp(-20), gradient_rms=1e-15)
    assert judge.codes(net.train(STUCK)) == {}


def test_a_frozen_trunk_is_no_fault(judge):
    net = deep()
    net.change_tensors("layers", trainable=False)
    assert judge.codes(net) == {}


def test_a_silence_that_healed_is_forgotten_and_one_that_was_born_is_dated(judge):
    net = Net(12)
    assert judge.codes(net.scan(0, 10, decades=net.ramp(-8)).scan(30, 100).train(FALLING)) == {}
    net = Net(12)
    finding = judge.one(net.scan(0, 10).scan(30, 100, decades=net.ramp(-8)).train(STUCK))
    assert (finding["first_step"], finding["last_step"]) == (30, 100)


def test_a_head_of_zeros_is_silent_at_first_by_design(judge):
    net = Net(12)
    silent = np.r_[np.full(net.size - 1, -np.inf), 0.0]
    assert judge.codes(net.scan(0, decades=silent).train(FALLING)) == {}
    assert judge.codes(net.scan(10, 30).train(steps=range(60, 120))) == {}


def test_a_cut_in_the_middle_is_not_a_decay(judge):
    net = Net(12)
    decades = np.where(np.arange(net.size) < 12, -np.inf, -0.5)
    assert "LG101" not in judge.codes(net.scan(0, 10, 30, decades=decades).train(STUCK))


def test_a_decay_that_underflows_to_exact_zero_is_one(judge):
    net = Net(40, "Sigmoid")
    decades = net.ramp(-60)
    decades[decades < -38] = -np.inf
    finding = judge.one(net.scan(0, 10, 30, decades=decades).train(STUCK))
    assert finding["code"] == "LG101"
    assert "all of it, in this precision" in finding["message"]
    assert finding["evidence"]["audibility_of_first_layer"] == 0.0


def test_a_decay_that_ends_in_silence_altogether_is_still_the_same(judge):
    net = Net(12)
    silent = np.r_[np.full(net.size - 1, -np.inf), 0.0]
    net.scan(0, 10, decades=net.ramp(-8)).scan(30, 100, decades=silent)
    finding = judge.one(net.train(STUCK))
    assert finding["code"] == "LG101" and finding["layers"][0] == "layers.0"
    assert (finding["first_step"], finding["last_step"]) == (0, 10)


def test_finite_width_alone_is_no_fault(judge):
    def lost(width, blocks=60):
        net = Net(blocks, width=width)
        return judge.codes(net.scan(0, 10, 30, decades=net.ramp(-3.8)).train(STUCK))

    # β = 5 · 60 / 8: three standard deviations are 4.0 decades.
    assert lost(width=8) == {}
    assert lost(width=512) == {"LG101": "error"}


@pytest.mark.parametrize("beyond, found", [(-0.1, True), (0.1, False)])
def test_the_floor(judge, beyond, found):
    net = deep(FLOOR_DECADES + beyond, loss=FALLING, ratio={"layers.0": 1e-9})
    assert ("LG101" in judge.codes(net)) is found


@pytest.mark.parametrize(
    "loss, ratio, found",
    [(STUCK, 1e-9, True), (STUCK, 1e-3, False), (FALLING, 1e-9, False)],
    ids=["stuck and starved", "stuck", "starved"],
)
def test_a_milder_silence_counts_only_where_it_did_harm(judge, loss, ratio, found):
    mild = (FLOOR_DECADES + HARMFUL_DECADES) / 2
    net = deep(mild, loss=loss, ratio={f"layers.{i}": ratio for i in range(6)})
    assert ("LG101" in judge.codes(net)) is found
    assert judge.codes(deep(HARMFUL_DECADES + 0.1, loss=loss, ratio=ratio)).get("LG101") is None


def test_where_output_and_layers_are_quiet_together_the_outputs_unit_tells(judge):
    # Every layer is 10⁻⁵ of what the targets' spread would want, the output as well.
    net = Net(12)
    finding = judge.one(net.scan(0, 10, 30, output=1e-5).train(STUCK))
    assert finding["code"] == "LG101" and len(finding["layers"]) == 13
    assert "output and all" in finding["message"]
    assert judge.codes(Net(12).scan(0, 10, 30, output=1e-2).train(STUCK)) == {}


def test_without_audibility_nothing_is_said(judge):
    net = Net(12)
    unknown = np.full(net.size, np.nan)
    assert judge.codes(net.scan(0, 10, 30, audibility=unknown, audibility_output=unknown).train(STUCK)) == {}


def test_two_layers_are_enough_and_one_is_not(judge):
    two = Net(1, "Sigmoid")
    assert judge.codes(two.scan(0, 10, decades=two.ramp(-6)).train(STUCK)) == {"LG101": "error"}
    assert judge.codes(Net(0).scan(0, 10).train(STUCK)) == {}


def test_targets_in_the_thousands_make_no_output_quiet(judge):
    """An output of size 1 beside targets that spread by 1e5 is what every net begins with; mean squared error
    tells that spread.
    """
    told = {"output": 1e-5, "residual": 1.0, "task_loss": 1e10}
    assert judge.codes(Net(12).scan(0, 10, 30, **told).train(STUCK)) == {}
    small = told | {"task_loss": 1.0}
    assert set(judge.codes(Net(12).scan(0, 10, 30, **small).train(STUCK))) == {"LG101"}
