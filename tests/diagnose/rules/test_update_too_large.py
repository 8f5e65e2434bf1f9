"""LG402: steps as large as the weights, and a loss that does not follow."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, RISING, STUCK, Net

from livegrad.diagnose.rules.update_too_large import SINGLE_STEP, USUAL_STEP, fell_back


def net(**how):
    return Net(3, **how).scan(0, 10, 30)


def once(size, at=12, usual=1e-3):
    return lambda step: size if step == at else usual


def test_a_step_larger_than_the_weights_is_found_and_dated(judge):
    finding = judge.one(net().train(STUCK, ratio={"layers.1": once(7.0)}, rate=3.0))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG402", "update-too-large", "error")
    assert finding["layers"] == ["layers.1"] and finding["source"] == "net.py:12"
    assert (finding["first_step"], finding["last_step"]) == (12, 59)
    assert "layers.1.weight" in finding["message"] and "7 times" in finding["message"]
    assert "3" in finding["cause"]["summary"] and finding["cause"]["operator"] == "SGD"
    evidence = finding["evidence"]
    assert evidence["largest_update_over_weights"] == pytest.approx(7.0)
    assert evidence["matrices_count"] == 1 and evidence["learning_rate"] == 3.0
    assert evidence["loss_at_start"] == pytest.approx(2.3, abs=0.01)


def test_the_step_it_began_at_is_the_first_and_not_the_worst(judge):
    sizes = {"layers.1": lambda step: 2.0 if step == 5 else 9.0 if step == 30 else 1e-3}
    finding = judge.one(net().train(STUCK, ratio=sizes))
    assert finding["first_step"] == 5
    assert finding["evidence"]["largest_update_over_weights"] == pytest.approx(9.0)


@pytest.mark.parametrize("loss", [STUCK, RISING])
def test_steps_that_are_always_too_large_are_found(judge, loss):
    finding = judge.one(net().train(loss, ratio=0.5))
    assert finding["code"] == "LG402" and len(finding["layers"]) == 4
    assert finding["evidence"]["usual_update_over_weights"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "ratio, found",
    [
        (USUAL_STEP * 1.1, True),
        (USUAL_STEP * 0.9, False),
        (once(SINGLE_STEP * 1.1), True),
        (once(SINGLE_STEP * 0.9), False),
    ],
)
def test_how_large_is_too_large(judge, ratio, found):
    assert (judge.codes(net().train(STUCK, ratio=ratio)) == {"LG402": "error"}) is found


def test_a_large_step_that_training_got_over_is_forgiven(judge):
    assert judge.codes(net().train(FALLING, ratio=once(7.0))) == {}
    assert judge.codes(net().train(FALLING, ratio=0.5)) == {}


def test_a_matrix_that_starts_at_zero_must_take_a_large_first_step(judge):
    born = {"head.weight": lambda step: 0.0 if step == 0 else 1e-3 * step}
    sizes = {"head.weight": lambda step: 0.0 if step == 0 else 1.5 / step}
    assert judge.codes(net().train(STUCK, weight=born, ratio=sizes)) == {}


def test_biases_and_tiny_matrices_are_not_judged(judge):
    small = net()
    small.add_tensor("gate.weight", (3, 5))
    large = {"gate.weight": 50.0, **{f"layers.{i}.bias": 50.0 for i in range(3)}}
    assert judge.codes(small.train(STUCK, ratio=large)) == {}


def test_in_a_run_too_short_to_know_its_loss_only_gross_steps_count(judge):
    assert judge.codes(net().train(STUCK[:5], ratio=2 * SINGLE_STEP)) == {}
    assert judge.codes(net().train(STUCK[:5], ratio=20 * SINGLE_STEP)) == {"LG402": "error"}


def test_a_run_that_ended_in_nan_also_names_the_step_before_it(judge):
    loss = np.r_[STUCK[:20], np.full(10, np.nan)]
    bad = {"": lambda step: 5 if step >= 20 else 0}
    found = judge.codes(net().train(loss, ratio=once(30.0), bad_gradient=bad))
    assert found == {"LG301": "error", "LG402": "error"}


def test_a_model_older_than_the_watching_is_found_by_its_call(judge):
    old = net()
    old.change_tensors("", source=None)
    for layer in old.layers:
        layer["made"] = None
    finding = judge.one(old.train(STUCK, ratio={"layers.1": once(7.0)}, rate=3.0))
    assert finding["source"] == "net.py:102"


def test_a_matrix_that_starts_next_to_zero_may_grow_by_many_times_its_size(judge):
    # A class token drawn with σ = 1e-6: the first step of Adam at 1e-3 is a thousand times its size.
    grows = {"layers.1": lambda step: 1e-6 + 1e-3 * step}
    steps = {"layers.1": lambda step: 1e-3 / (1e-6 + 1e-3 * step)}
    assert judge.codes(net().train(STUCK, ratio=steps, weight=grows)) == {}
    usual = {"layers.1": lambda step: 0.05 + 0.05 * step}
    assert judge.codes(net().train(STUCK, ratio=steps, weight=usual)) == {"LG402": "error"}


def test_steps_of_a_hundredth_are_too_large_once_the_loss_has_fallen_back(judge):
    """One bad batch among steps of a twentieth of the weights, and what was learnt is gone for good."""
    step = np.arange(200)
    learnt = 0.6 + 1.5 * np.exp(-step / 10) + 0.1 * np.sin(1.7 * step)
    lost = np.where(step > 140, 1.2 + 0.1 * np.sin(1.7 * step), learnt)
    finding = judge.one(net().train(lost, ratio=0.05))
    assert (finding["code"], finding["severity"]) == ("LG402", "error")
    assert judge.codes(net().train(learnt, ratio=0.05)) == {}
    assert judge.codes(net().train(lost, ratio=1e-3)) == {}
    noisy = learnt + np.random.default_rng(0).normal(0, 0.5, 200)
    assert not fell_back(noisy)


@pytest.mark.parametrize("decay, found", [(20.0, True), (0.1, False)])
def test_decay_that_forgets_within_a_hundred_steps_is_named(judge, decay, found):
    """With w ← (1 − ηλ) w what was learnt fades as exp(−ηλ t)."""
    made = net()
    made.settings = {"type": "AdamW", "settings": {"lr": 3e-3, "weight_decay": decay}}
    made.train(STUCK, ratio=0.06)
    if found:
        assert "weight decay takes 6.0%" in judge.one(made)["cause"]["summary"]
    else:
        assert judge.codes(made) == {}
