"""LG501: inputs far from unit size, and what the first weights make of them."""

from typing import Any

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net


def net(rms=100.0, loss=STUCK, similarity=0.3, rank=9.0, steps=(0, 10, 30), ratio=1e-3, **columns):
    made = Net(3)
    made.add_layer("input", "input", 0, kind="input")
    rows: dict[str, Any] = {"activation_rms": [0.7] * 7 + [rms], "similarity": [0.3] * 7 + [similarity]}
    rows |= {"effective_rank": [9.0] * 7 + [rank], "activation_mean": [0.0] * 7 + [0.1]}
    for name, first in columns.items():
        rows[name] = [*first, *rows.get(name, [np.nan] * 8)[len(first) :]]
    return made.scan(*steps, **rows).train(loss, ratio=ratio)


def test_large_inputs_whose_first_layer_is_large_too_are_found(judge):
    finding = judge.one(net(activation_rms=[90.0]))
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG501", "input-scale", "error")
    assert finding["layers"] == ["input"] and finding["evidence"]["input_rms"] == 100.0
    assert "layers.0" in finding["cause"]["summary"] and "standard deviation" in finding["next"].lower()


def alike_behind(at_first, later=0.3):
    """Large inputs, and the mean cosine behind the first weights at the first scan and at the later ones."""
    made = Net(3)
    made.add_layer("input", "input", 0, kind="input")
    for step, cosine in ((0, at_first), (10, [later]), (30, [later])):
        rows = {"activation_rms": [0.7] * 7 + [100.0], "similarity": cosine + [0.3] * 7}
        made.scan(step, **rows, effective_rank=9.0, activation_mean=0.1)
    return made.train(STUCK, ratio=1e-3)


def test_one_answer_for_all_samples_later_on_is_not_put_down_to_the_inputs(judge):
    assert judge.codes(alike_behind([0.3], later=0.9999)).get("LG501") == "info"


@pytest.mark.parametrize(
    "harm",
    [
        {"saturated": [np.nan, 0.7]},
        {"dead": [np.nan, 0.7]},
        {"ratio": {"layers.0": 0.2}},
        {"rms": 1e-5, "activation_rms": [1e-4]},
        {"first": [0.9999]},
        {"rms": 1.0, "similarity": 0.999, "rank": 1.05, "columns": True},
    ],
)
def test_the_ways_of_harm(judge, harm):
    if first := harm.pop("first", None):
        # What an LSTM gives for inputs of thousands: its gates are shut or open for all of them.
        made = alike_behind(first)
    elif harm.pop("columns", False):
        made = Net(3)
        made.add_layer("input", "input", 0, kind="input")
        made.scan(0, 10, activation_rms=1.0, similarity=0.999, effective_rank=1.05).train(STUCK)
    else:
        made = net(**harm)
    assert judge.codes(made)["LG501"] == "error"


def test_without_harm_it_is_only_mentioned(judge):
    assert judge.codes(net()) == {"LG501": "info"}
    assert judge.codes(net(loss=FALLING, activation_rms=[90.0])) == {"LG501": "info"}


def test_inputs_of_usual_size_are_not_looked_at(judge):
    for rms in (0.05, 1.0, 9.0):
        assert judge.codes(net(rms=rms, activation_rms=[90.0])) == {}


def test_saturation_behind_large_inputs_is_their_doing(judge):
    assert judge.codes(net(saturated=[np.nan, 0.99])) == {"LG501": "error"}
    assert judge.codes(net(rms=1.0, saturated=[np.nan, 0.99])) == {"LG201": "error"}
    assert judge.codes(net(loss=FALLING, saturated=[np.nan, 0.99])) == {"LG501": "warning"}


def test_an_input_is_no_layer_of_the_report(judge):
    assert "input" not in [layer["name"] for layer in judge.report(net()).layers]
