"""The layers of a report: the latest usable scan, told without inventing numbers."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, Net


def test_one_row_a_layer_with_what_was_measured(judge):
    net = Net(2, "Sigmoid")
    state = {
        "saturated": [np.nan, 0.4, np.nan, 0.2, np.nan],
        "activation_slope": [np.nan, 0.1, np.nan, 0.2, np.nan],
    }
    net.scan(0).scan(10, decades=net.ramp(-4), output=0.5, **state)
    rows = judge.report(net.train(FALLING, ratio=1e-2)).layers
    assert [row["name"] for row in rows] == ["layers.0", "acts.0", "layers.1", "acts.1", "head"]
    first, second = rows[:2]
    assert first["audibility"] == pytest.approx(0.5e-4)
    assert first["audibility_ratio"] == pytest.approx(1e-4)
    assert first["transport"] == pytest.approx(-4)
    assert first["turnover_steps"] == pytest.approx(100)
    assert first["tensors"] == ["layers.0.weight", "layers.0.bias"]
    assert first["source"] == "net.py:100" and first["kind"] == "depth"
    assert first["saturated"] is None and second["saturated"] == pytest.approx(0.4)
    assert second["turnover_steps"] is None and second["tensors"] == []


def test_a_turnover_is_of_the_matrix_and_infinite_where_nothing_moved(judge):
    net = Net(1).scan(0, 10)
    rows = judge.report(net.train(FALLING, ratio={"layers.0.weight": 0.0, "head.weight": np.nan})).layers
    assert [row["turnover_steps"] for row in rows] == ["Infinity", None, None]


def test_a_layer_whose_numbers_broke_says_nan_and_one_not_measured_says_nothing(judge):
    net = Net(1)
    bad = [0, 0, 1]
    net.scan(0, audibility=np.nan, gradient_rms=np.nan, transport=np.nan, nonfinite=bad)
    rows = judge.report(net.train(FALLING)).layers
    assert [row["gradient_rms"] for row in rows] == [None, None, "NaN"]
    assert [row["audibility"] for row in rows] == [None, None, "NaN"]
    assert [row["audibility_ratio"] for row in rows] == [None, None, None]


def test_the_latest_scan_that_measured_is_shown_not_a_broken_one(judge):
    net = Net(1).scan(0, output=0.1).scan(10, output=0.2)
    net.scan(30, audibility=np.nan, nonfinite=3, activation_rms=np.inf)
    rows = judge.report(net.train(FALLING)).layers
    assert rows[-1]["audibility"] == pytest.approx(0.2)


def test_against_a_silent_output_there_is_no_ratio(judge):
    rows = judge.report(Net(1).scan(0, output=0.0).train(FALLING)).layers
    assert [row["audibility_ratio"] for row in rows] == [None, None, None]
    assert [row["audibility"] for row in rows] == [0.0, 0.0, 0.0]


def test_without_a_scan_there_are_no_layers(judge):
    assert judge.report(Net(2).train(FALLING)).layers == []


def test_rows_of_two_subjects_bear_their_names(judge):
    one, other = Net(1, name="G").scan(0).train(FALLING), Net(2, subject=1, name="D").scan(0).train(FALLING)
    rows = judge.report(one, other).layers
    assert [row["subject"] for row in rows] == ["G"] * 3 + ["D"] * 5
