"""The textbook's facts, as the lab measures them."""

import json
import subprocess
import sys

import pytest

from livegrad.errors import UsageError
from livegrad.lab.experiment import EXPERIMENTS, Settings, experiment


def quietly(share, words):
    assert 0 <= share <= 1 and words


def run(name, **settings):
    return experiment(name)(Settings(quick=True, **settings), quietly)


def table(result):
    return {row[:-1] if len(row) == 3 else row[0]: row for row in result.rows}


def test_an_unknown_experiment_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match="depth, init"):
        experiment("nonsense")


def test_each_activation_passes_back_what_theory_says():
    rows = table(run("depth"))
    assert rows["Sigmoid"][1] == pytest.approx(0.3909, rel=0.02)
    for name, measured, theory, *_ in rows.values():
        # One draw, 40 layers of 256: finite width alone moves a factor per layer by some hundredths.
        assert measured == pytest.approx(theory, rel=0.05), name


def test_default_initialization_loses_what_he_keeps():
    rows = table(run("init"))
    assert rows["ReLU, torch default"][1] == pytest.approx(0.408, rel=0.05)
    assert rows["ReLU, he"][1] == pytest.approx(1.0, rel=0.05)


def test_layer_norm_does_not_cure_a_sigmoid_and_batch_norm_does():
    rows = table(run("normalization"))
    assert rows["Sigmoid, LayerNorm"][1] < 0.45
    assert rows["Sigmoid, BatchNorm"][1] == pytest.approx(1.017, rel=0.05)
    assert rows["ReLU, BatchNorm"][1] == pytest.approx(1.211, rel=0.05)


def test_the_command_lists_and_writes(tmp_path):
    command = [sys.executable, "-m", "livegrad", "lab"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert all(name in listed.stdout for name in EXPERIMENTS)
    done = subprocess.run(
        [*command, "init", "--quick", "--json", "--out", "figure.html"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["rows"][0]["network"] == "ReLU, torch default"
    assert "initialization" in (tmp_path / "figure.html").read_text(encoding="utf-8")
    wrong = subprocess.run(
        [*command, "init", "--out", "no/x.html"], cwd=tmp_path, capture_output=True, text=True
    )
    assert wrong.returncode == 2 and "no folder" in wrong.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["activation", "skip", "trainability", "clip", "rnn", "text"])
def test_every_training_experiment_runs_and_can_be_drawn(name):
    from livegrad.plot.paint import paint

    result = run(name, steps=5)
    assert result.rows and result.said
    assert paint(result.drawing).data


@pytest.mark.slow
def test_a_deep_sigmoid_does_not_learn_where_a_relu_does():
    accuracy = {row[:2]: row[2] for row in run("activation", steps=150).rows}
    assert accuracy["ReLU", 8] > 0.8
    assert accuracy["Sigmoid", 8] < 0.3


@pytest.mark.slow
def test_a_residual_network_learns_at_a_depth_where_a_plain_one_does_not():
    accuracy = {row[:2]: row[2] for row in run("skip", steps=100).rows}
    assert accuracy["residual, 1/√L", 48] > 0.8
    assert accuracy["plain", 48] < 0.3
