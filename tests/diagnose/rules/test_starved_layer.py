"""LG401: gradients arrive, but the optimizer's steps do not move the weights."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

from livegrad.diagnose.rules.starved_layer import EPS_SHARE, FAR_BEHIND, SWALLOWED_SHARE


def adam(blocks=4, **settings):
    net = Net(blocks)
    net.settings = {"type": "Adam", "settings": {"lr": 1e-3, "eps": 1e-8, **settings}}
    return net.scan(0, 10, 30)


def test_updates_that_the_dtype_rounds_away_are_found(judge):
    net = adam()
    net.change_tensors("", dtype="torch.bfloat16")
    finding = judge.one(net.train(STUCK, swallowed={"layers": 0.98, "head": 0.1}, ratio=1e-5))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG401", "starved-layer", "error")
    assert finding["layers"] == [f"layers.{i}" for i in range(4)] and finding["source"] == "net.py:10"
    assert finding["cause"]["operator"] == "Adam" and "bfloat16" in finding["message"]
    assert finding["evidence"] == {
        "swallowed_share": pytest.approx(0.98),
        "dtype": "torch.bfloat16",
        "turnover_steps": pytest.approx(1e5),
        "matrices_count": 4,
    }
    assert (finding["first_step"], finding["last_step"]) == (0, 59)


def test_an_eps_that_outweighs_the_gradient_is_found(judge):
    finding = judge.one(adam().train(STUCK, gradient=1e-12, eps=0.99, ratio=1e-6))
    assert finding["code"] == "LG401" and finding["severity"] == "error"
    assert finding["evidence"]["under_eps_share"] == pytest.approx(0.99)
    assert finding["evidence"]["eps"] == 1e-8 and "eps = 1e-08" in finding["message"]


def test_a_group_left_far_behind_is_found(judge):
    slow = {"layers.1.weight": 1e-10, "layers.2.weight": 1e-10}
    finding = judge.one(adam().train(FALLING, ratio=slow))
    assert (finding["code"], finding["severity"]) == ("LG401", "warning")
    assert finding["layers"] == ["layers.1", "layers.2"]
    assert finding["evidence"]["update_ratio_of_others"] / finding["evidence"][
        "update_ratio"
    ] == pytest.approx(1e7)


def test_a_matrix_that_gets_gradients_and_never_moves_is_found(judge):
    finding = judge.one(adam().train(FALLING, ratio={"layers.1": 0.0}))
    assert finding["layers"] == ["layers.1"] and "not at all" in finding["message"]
    assert finding["evidence"]["turnover_steps"] == "Infinity"


@pytest.mark.parametrize(
    "given, found",
    [
        ({"swallowed": SWALLOWED_SHARE + 0.02}, True),
        ({"swallowed": SWALLOWED_SHARE - 0.02}, False),
        ({"eps": EPS_SHARE + 0.02}, True),
        ({"eps": EPS_SHARE - 0.02}, False),
        ({"ratio": {"layers.1": 0.9 * FAR_BEHIND * 1e-3}}, True),
        ({"ratio": {"layers.1": 1.1 * FAR_BEHIND * 1e-3}}, False),
    ],
)
def test_how_much_is_too_much(judge, given, found):
    assert (judge.codes(adam().train(STUCK, **given)) == {"LG401": "error"}) is found


def test_tiny_gradients_that_adam_makes_up_for_are_healthy(judge):
    assert judge.codes(adam().train(FALLING, gradient=1e-12, eps=0.0, ratio=1e-3)) == {}


def test_eps_is_no_fault_while_the_loss_falls(judge):
    assert judge.codes(adam().train(FALLING, eps=0.99)) == {}


def test_eps_over_a_few_matrices_alone_is_no_fault(judge):
    # An embedding's rows that were never drawn, beside a network that moves.
    assert judge.codes(adam().train(STUCK, eps={"layers.0": 0.99, "": 0.0})) == {}


@pytest.mark.parametrize("residual, found", [(1e-4, False), (1.0, True)])
def test_a_fitted_network_may_rest(judge, residual, found):
    net = Net(4).scan(0, 10, 30, residual=residual)
    assert (judge.codes(net.train(STUCK, swallowed=0.99)) != {}) is found


def test_frozen_weights_are_not_starved(judge):
    net = adam()
    net.change_tensors("layers", trainable=False)
    assert judge.codes(net.train(FALLING, ratio={"layers": 0.0}, gradient={"layers": None})) == {}


def test_biases_are_not_judged(judge):
    slow = {f"layers.{i}.bias": 1e-12 for i in range(4)}
    assert judge.codes(adam().train(FALLING, ratio=slow)) == {}


def test_weights_without_a_gradient_are_another_fault(judge):
    found = judge.codes(adam().train(FALLING, ratio={"layers.1": 0.0}, gradient={"layers.1": None}))
    assert found.keys() == {"LG404"}


def test_an_expert_that_seldom_works_is_judged_by_the_steps_it_works_in(judge):
    seldom = {"layers.1": lambda step: 1e-3 if step % 5 == 0 else 0.0}
    assert judge.codes(adam().train(FALLING, ratio=seldom, gradient=seldom)) == {}


def test_what_was_never_sampled_is_not_judged(judge):
    assert judge.codes(adam().train(STUCK, ratio=np.nan, swallowed=np.nan)) == {}


def test_a_model_older_than_the_watching_is_found_by_its_call(judge):
    net = adam()
    net.change_tensors("", dtype="torch.bfloat16", source=None)
    for layer in net.layers:
        layer["made"] = None
    finding = judge.one(net.train(STUCK, swallowed={"layers": 0.98, "head": 0.1}, ratio=1e-5))
    assert finding["source"] == "net.py:100"
