"""LG301: the first NaN or infinity, where it was, and what came before."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, Net

BROKEN = np.r_[FALLING[:20], np.full(10, np.nan)]


def after(step, count=3):
    return lambda now: count if now >= step else 0


def test_a_loss_that_becomes_nan_is_found_and_dated(judge):
    finding = judge.one(Net(3).scan(0, 10).train(BROKEN, bad_gradient={"": after(20)}))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG301", "nonfinite", "error")
    assert (finding["first_step"], finding["last_step"]) == (20, 29)
    assert finding["message"] == "the loss and its gradient became NaN or infinite at step 20"
    evidence = finding["evidence"]
    assert evidence["first_step"] == 20 and evidence["steps_nonfinite_count"] == 10
    assert evidence["tensors_with_nonfinite_gradient_count"] == 8
    assert evidence["tensors_with_nonfinite_weight_count"] == 0
    assert evidence["last_finite_loss"] == pytest.approx(FALLING[19])


@pytest.mark.parametrize(
    "loss, given, what",
    [
        (BROKEN, {}, "the loss"),
        (FALLING, {"bad_gradient": {"layers.1": after(20)}}, "the gradient"),
        (FALLING, {"bad_weight": {"layers.1": after(20)}, "bad_gradient": {"": after(20)}}, "the weights"),
        (np.r_[FALLING[:20], np.inf], {}, "the loss"),
    ],
)
def test_what_broke_first_is_said(judge, loss, given, what):
    finding = judge.one(Net(3).scan(0).train(loss, **given))
    assert finding["message"] == f"{what} became NaN or infinite at step 20"


def test_the_tensors_it_began_in_are_named(judge):
    given = {"layers.1": after(20), "": after(21)}
    finding = judge.one(Net(3).scan(0).train(FALLING, bad_gradient=given))
    assert finding["layers"] == ["layers.1"] and finding["source"] == "net.py:12"


def seen_broken(forward=(), backward=(), weights=10**9):
    """A run that breaks at step 20, scanned at step 25: these layers' outputs or gradients are broken."""
    net = Net(3).scan(0, 10)
    bad = [i in forward or i in backward for i in range(net.size)]
    size = [np.nan if i in forward else 1.0 for i in range(net.size)]
    net.scan(25, nonfinite=np.where(bad, 12, 0), activation_rms=size)
    return net.train(BROKEN, bad_gradient={"": after(20)}, bad_weight={"": after(weights)})


def test_the_first_layer_whose_output_broke_is_named(judge):
    # All gradients break with it, those of the layers before it too.
    finding = judge.one(seen_broken(forward=range(3, 7), backward=range(7)))
    assert finding["cause"]["operator"] == "ReLU" and "output" in finding["cause"]["summary"]
    assert "acts.1" in finding["cause"]["summary"]
    assert finding["source"] == "net.py:103"  # where it is called


def test_a_gradient_that_breaks_on_its_way_back_is_put_down_to_the_operation_it_went_through(judge):
    # The root of zero: its output is fine, what it sends back is not.
    finding = judge.one(seen_broken(backward=range(4)))
    assert "layers.2" in finding["cause"]["summary"] and "back" in finding["cause"]["summary"]
    assert finding["source"] == "net.py:104"


def test_a_gradient_that_is_broken_from_the_output_on_comes_from_the_loss(judge):
    finding = judge.one(seen_broken(backward=range(7)))
    assert "what the loss sends back" in finding["cause"]["summary"]
    assert finding["cause"]["operator"] is None and finding["source"] == "net.py:106"


def test_after_the_weights_broke_a_scan_cannot_tell_the_origin(judge):
    finding = judge.one(seen_broken(forward=range(7), weights=21))
    assert "not located" in finding["cause"]["summary"] and finding["cause"]["operator"] is None


def test_an_explosion_just_before_is_named(judge):
    def growing(step):
        return 1e-3 if step < 19 else 1e6

    finding = judge.one(Net(3).scan(0).train(BROKEN, gradient=growing, bad_gradient={"": after(20)}))
    assert "an explosion" in finding["cause"]["summary"]


def test_a_single_bad_step_is_enough(judge):
    given = {"layers.1": lambda step: 1 if step == 30 else 0}
    finding = judge.one(Net(3).scan(0, 10).train(FALLING, bad_gradient=given))
    assert finding["code"] == "LG301" and finding["evidence"]["steps_nonfinite_count"] == 1


def test_a_loss_that_is_not_known_is_not_nan(judge):
    assert judge.codes(Net(3).scan(0, 10).train([None] * 60)) == {}


def test_a_run_that_is_broken_from_its_first_step(judge):
    finding = judge.one(Net(3).train([np.nan] * 5, bad_gradient=1, bad_weight=1))
    assert (finding["code"], finding["first_step"]) == ("LG301", 0)
    assert finding["evidence"]["last_finite_loss"] is None
    assert finding["evidence"]["last_finite_gradient_norm"] is None
