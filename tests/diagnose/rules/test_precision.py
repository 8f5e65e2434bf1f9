"""LG302 and LG303: float16 losing gradients at either end of its range."""

import math

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

from livegrad.diagnose.rules.underflow import SMALLEST, rounded_to_zero


def net(gradient, dtype="float16", loss=STUCK, **scan):
    made = Net(3)
    for layer in made.layers:
        layer["dtype"] = dtype
    return made.scan(0, 10, 30, gradient_rms=gradient, **scan).train(loss)


def test_the_smallest_number_is_float16s():
    assert float(np.finfo(np.float16).smallest_subnormal) == SMALLEST


def test_the_share_that_rounding_takes_is_what_rounding_takes():
    generator = np.random.default_rng(0)
    for rms in (2e-8, 6e-8, 3e-7):
        rounded = generator.normal(0, rms, 200_000).astype(np.float16)
        assert rounded_to_zero(rms, SMALLEST) == pytest.approx(float(np.mean(rounded == 0)), abs=0.005)


def test_gradients_under_the_smallest_number_are_found(judge):
    finding = judge.one(net(3e-8))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG302", "underflow", "error")
    assert finding["evidence"]["share_rounded_to_zero"] == pytest.approx(
        math.erf(SMALLEST / 2 / 2**0.5 / 3e-8)
    )
    assert "GradScaler" in finding["next"] and len(finding["layers"]) == 7


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", None])
def test_other_types_hold_them(judge, dtype):
    assert judge.codes(net(3e-8, dtype)) == {}


def test_a_usual_gradient_does_not_underflow(judge):
    assert judge.codes(net(1e-5)) == {}


def test_where_the_outputs_fit_small_gradients_are_right(judge):
    assert judge.codes(net(1e-9, residual=0.01)) == {}


def test_while_it_learns_it_is_a_warning_and_few_layers_are_only_mentioned(judge):
    assert judge.codes(net(3e-8, loss=FALLING)) == {"LG302": "warning"}
    assert judge.codes(net([1e-9, 1e-9, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3])) == {"LG302": "info"}


def scaled(scale, loss=FALLING):
    return Net(3).scan(0, 10, 30).train(loss, loss_scale=lambda step: float(scale(step)))


def test_a_search_at_the_start_is_how_a_scaler_works(judge):
    assert judge.codes(scaled(lambda step: 2.0 ** max(10, 24 - step))) == {}


def test_a_skip_now_and_then_is_how_a_scaler_works(judge):
    assert judge.codes(scaled(lambda step: 2.0**15 if step < 40 else 2.0**14)) == {}


def test_skips_again_and_again_are_found(judge):
    finding = judge.one(scaled(lambda step: 2.0 ** (10 + step % 5 // 4)))
    assert (finding["code"], finding["name"]) == ("LG303", "loss-scale-thrash")
    assert finding["severity"] == "warning" and finding["evidence"]["skipped_steps_count"] >= 10


def test_a_scale_that_sinks_under_one_is_an_error(judge):
    assert judge.codes(scaled(lambda step: 2.0 ** (16 - step))) == {"LG303": "error"}
