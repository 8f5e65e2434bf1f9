"""The textbook's facts, as the lab measures them."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from livegrad.cli.lab import lab
from livegrad.errors import LivegradError, UsageError
from livegrad.lab.experiment import EXPERIMENTS, Result, Settings, experiment
from livegrad.lab.repeats import repeated
from livegrad.view.guide_site.figures.drawing import drawing, frame, line

SIMPLE = drawing("Title", "Caption.", [line([0, 1], [0, 1], "a")], frame("x", "y"))


def quietly(share, words):
    assert 0 <= share <= 1 and words


def run(name, **settings):
    return experiment(name)(Settings(quick=True, **settings), quietly)


def table(result):
    return {row[0]: row for row in result.rows}


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
    assert all(name in CliRunner().invoke(lab, []).stdout for name in EXPERIMENTS)
    done = subprocess.run(
        [*command, "init", "--quick", "--json", "--out", "figure.html"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["rows"][0]["network"] == "ReLU, torch default"
    assert "Initialization sets" in (tmp_path / "figure.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["init", "--out", "no/x.html"], "no folder 'no'"),
        (["init", "--out", "x.txt"], "end it in .html"),
        (["init", "nonsense", "--save", "d"], "no experiment 'nonsense'. There are: depth"),
        (["init", "depth"], "Say where to: --save DIR"),
        (["all"], "Say where to: --save DIR"),
        (["init", "--out", "x.html", "--save", "d"], "give one of the two"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(monkeypatch, tmp_path, given, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("livegrad.cli.lab_screen.shown", lambda *a: pytest.fail("something was run"))
    result = CliRunner().invoke(lab, given)
    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)


def test_pictures_that_nothing_can_make_are_told_before_anything_runs(monkeypatch, tmp_path):
    monkeypatch.setattr("livegrad.plot.saving.find_spec", lambda name: None)
    monkeypatch.setattr("livegrad.cli.lab_screen.shown", lambda *a: pytest.fail("something was run"))
    result = CliRunner().invoke(lab, ["init", "--save", str(tmp_path / "d")])
    assert isinstance(result.exception, LivegradError)
    assert "pip install" in str(result.exception)


def test_ctrl_c_keeps_what_is_finished_and_says_so(monkeypatch, tmp_path):
    def shown(name, run, settings):
        if name == "skip":
            raise KeyboardInterrupt
        return Result(SIMPLE, ("network",), [("a",)], "Said.")

    monkeypatch.setattr("livegrad.cli.lab_screen.shown", shown)
    result = CliRunner().invoke(lab, ["init", "skip", "--save", str(tmp_path / "d"), "--form", "html"])
    assert result.exit_code == 130
    assert "interrupted in skip" in result.stderr and "Kept: init" in result.stderr
    listed = json.loads((tmp_path / "d" / "figures.json").read_text(encoding="utf-8"))
    assert set(listed) == {"init"}
    assert listed["init"]["command"] == "livegrad lab init --save d"
    assert {path.name for path in (tmp_path / "d").iterdir()} == {
        "init-light.html", "init-dark.html", "figures.json",
    }  # fmt: skip


def test_what_broke_off_is_infinitely_large_and_marked_not_joined():
    errors = {
        (10, 0): 0.1,
        (10, 1): 0.3,
        (20, 0): float("nan"),
        (20, 1): float("inf"),
        (40, 0): 0.2,
        (40, 1): 0.2,
    }
    found = repeated(
        ("A",), (10, 20, 40), lambda kind, size, seed: errors[size, seed], Settings(), 2, quietly, "steps"
    )
    assert [row[:3] for row in found.rows] == [("A", 10, 0.2), ("A", 20, float("inf")), ("A", 40, 0.2)]
    line, mark = found.traces(1.0)
    assert line["y"] == [0.2, None, 0.2]
    assert (mark["x"], mark["marker"]["symbol"]) == ([20], "x")
    assert found.largest(found.median < 0.25) == {"A": 10}


def test_numbers_that_are_not_finite_are_words_in_json():
    rows = Result(SIMPLE, ("a", "b"), [("x", float("inf"))], "").to_dict()["rows"]
    assert json.dumps(rows, allow_nan=False) == '[{"a": "x", "b": "Infinity"}]'


@pytest.mark.slow
def test_clipping_saves_an_exploding_recurrence_and_too_low_a_limit_starves_it():
    rows = table(experiment("clip")(Settings(seeds=2), quietly))
    assert rows["no clipping"][1] == "2 of 2"
    assert rows["norm clipped at 10"][2] > 0.8 > 0.4 > rows["norm clipped at 0.1"][2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["activation", "skip", "trainability", "clip", "rnn", "text", "pictures"])
def test_every_training_experiment_runs_and_can_be_drawn(name):
    from livegrad.plot.paint import paint

    result = run(name, steps=5)
    assert result.rows and result.said
    assert paint(result.drawing).data
    assert all(draw("dark").data for draw in result.more.values())


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
