"""Two runs side by side: what is new and what is gone, which layers changed, what the losses did."""

from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from tests.diagnose.invented_run import STUCK, Net

from livegrad.diagnose.comparison import Comparison, compare, is_gained
from livegrad.diagnose.layer_change import LayerState, judge_layer
from livegrad.diagnose.loss_comparison import compare_losses

STATE = LayerState(
    name="layer",
    kind="depth",
    type="Linear",
    depth=0,
    audibility=1.0,
    null_sd=0.1,
    gradient_rms=1e-3,
    turnover_steps=1000.0,
    pace="moving",
    saturated=float("nan"),
    dead=float("nan"),
    broken=False,
)


def scalars(losses, steps=None):
    losses = np.asarray(losses, float)
    return {
        "step": np.arange(len(losses)) if steps is None else np.asarray(steps),
        "loss": losses,
        "loss_known": np.ones(len(losses), bool),
    }


def net(decades=0.0, blocks=12, **train):
    made = Net(blocks, "Sigmoid")
    return made.scan(0, 10, 30, decades=made.ramp(decades)).train(**train)


@pytest.fixture
def documents(judge):
    sick, well = judge.run(net(-8.0, loss=STUCK)), judge.run(net())
    return compare(sick, well).to_dict(), compare(well, sick).to_dict(), compare(well, well).to_dict()


def test_every_document_fulfils_the_schema(documents):
    schema = Comparison.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for document in documents:
        jsonschema.validate(document, schema)


def test_a_cure_read_backwards_is_an_illness(documents):
    better, worse, _ = documents
    assert [d["health"] for d in documents] == ["better", "worse", "same"]
    states = [{(f["code"], f["state"]) for f in d["findings"]} for d in (better, worse)]
    swap = {"new": "gone", "gone": "new", "still": "still"}
    assert states[0] == {(code, swap[state]) for code, state in states[1]}
    assert ("LG101", "gone") in states[0]
    counts = [d["layers"]["counts"] for d in (better, worse)]
    assert counts[0]["better"] == counts[1]["worse"] > 0
    assert counts[0]["worse"] == counts[1]["better"] == 0


def test_a_run_beside_itself_has_nothing_new(documents):
    same = documents[2]
    assert not any(map(is_gained, same["findings"]))
    assert set(same["layers"]["counts"].values()) == {0, len(same["layers"]["changes"])}
    assert [loss["verdict"] for loss in same["loss"]] == ["alike"]
    assert same["settings"] == []


def test_layers_of_one_run_only_are_said(judge):
    document = compare(judge.run(net(blocks=6)), judge.run(net(blocks=8))).to_dict()
    assert len(document["layers"]["changes"]) == 13
    assert [(only["run"], len(only["layers"])) for only in document["layers"]["only"]] == [("B", 4)]


def test_runs_without_a_scan_at_the_same_step_say_so(judge):
    early, late = Net(), Net()
    runs = judge.run(early.scan(0, 5).train()), judge.run(late.scan(7, 9).train())
    document = compare(*runs).to_dict()
    assert document["layers"]["scans"] == [{"subject": "model", "step": [5, 9]}]
    assert any("step 5 of A and 9 of B" in note for note in document["notes"])


def test_models_are_matched_by_name_and_a_lone_one_is_said(judge):
    def two(*names):
        nets = [Net(name=name, subject=i) for i, name in enumerate(names)]
        return judge.run(*(each.scan(0, 10).train() for each in nets))

    document = compare(two("generator", "critic"), two("critic", "generator", "teacher")).to_dict()
    assert {loss["subject"] for loss in document["loss"]} == {"generator", "critic"}
    assert any("Only B has a model named teacher" in note for note in document["notes"])


def test_a_finding_that_became_more_severe_is_gained_and_one_of_severity_info_is_not():
    assert is_gained({"severity": ["warning", "error"]})
    assert is_gained({"severity": [None, "warning"]})
    assert not is_gained({"severity": ["error", "warning"]})
    assert not is_gained({"severity": ["error", "error"]})
    assert not is_gained({"severity": [None, "info"]})


@pytest.mark.parametrize(
    "was, now, change",
    [
        (1e-6, 1.0, "better"),
        (1.0, 1e-6, "worse"),
        (1e6, 1.0, "better"),
        (0.0, 1.0, "better"),
        (1.0, float("inf"), "worse"),
        (1e-6, 1e6, "alike"),
        (1e-6, 3e-6, "alike"),
        (0.05, 1.0, "alike"),
        (0.0, 0.0, "alike"),
    ],
)
def test_a_layer_is_better_where_its_audibility_came_nearer_to_the_outputs(was, now, change):
    assert judge_layer(replace(STATE, audibility=was), replace(STATE, audibility=now)).change == change


def test_what_finite_width_does_by_itself_is_no_change():
    narrow = replace(STATE, null_sd=1.0)
    assert judge_layer(replace(narrow, audibility=1e-3), narrow).change == "alike"
    assert judge_layer(replace(narrow, audibility=1e-5), narrow).change == "better"


def test_a_layer_that_moves_again_is_better_unless_small_steps_are_right():
    starved = replace(STATE, pace="starved")
    assert judge_layer(starved, STATE).change == "better"
    assert judge_layer(STATE, starved).change == "worse"
    assert judge_layer(STATE, replace(STATE, pace="too fast")).change == "worse"
    assert judge_layer(STATE, starved, fits=True).change == "alike"


def test_shares_and_broken_numbers_count():
    assert judge_layer(STATE, replace(STATE, dead=0.95)).change == "alike"  # not known before
    assert judge_layer(replace(STATE, dead=0.1), replace(STATE, dead=0.95)).change == "worse"
    assert judge_layer(replace(STATE, saturated=0.9), replace(STATE, saturated=0.1)).change == "better"
    assert judge_layer(STATE, replace(STATE, broken=True)).change == "worse"
    mixed = judge_layer(replace(STATE, audibility=1e-6, dead=0.1), replace(STATE, dead=0.95))
    assert (mixed.change, len(mixed.reasons)) == ("mixed", 2)


def test_gradients_are_not_judged():
    """A network that has converged has small ones."""
    assert judge_layer(STATE, replace(STATE, gradient_rms=1e-12)).change == "alike"


def test_losses_are_compared_over_the_steps_that_both_have():
    longer, shorter = scalars(np.linspace(2, 0, 200)), scalars(np.linspace(2, 1, 100))
    result = compare_losses(longer, shorter)
    assert result is not None
    assert result.steps == 99
    assert result.verdict == "alike"
    assert result.at[0] == (0, 2.0, 2.0)
    assert result.best == pytest.approx((2 - 2 * 99 / 199, 1.0))


def test_noise_is_no_difference_and_a_difference_is():
    noise = np.random.default_rng(0).normal(0, 0.2, (2, 200))
    same = compare_losses(scalars(1 + noise[0]), scalars(1 + noise[1]))
    lower = compare_losses(scalars(1 + noise[0]), scalars(0.5 + noise[1]))
    assert same is not None and same.verdict == "alike"
    assert lower is not None and lower.verdict == "lower"


def test_a_loss_that_broke_is_higher_than_any():
    broken = np.append(np.full(50, 1.0), np.full(50, np.nan))
    result = compare_losses(scalars(np.full(100, 5.0)), scalars(broken))
    assert result is not None
    assert result.verdict == "higher"
    assert np.isnan(result.last[1])


def test_steps_recorded_at_different_places_are_compared_nevertheless():
    steps = np.unique(np.geomspace(1, 1000, 40).astype(int))
    thinned = compare_losses(scalars(1 / (1 + steps), steps), scalars(1 / (1 + np.arange(1001))))
    assert thinned is not None
    assert thinned.verdict == "alike"


def test_without_losses_nothing_is_said():
    nothing = {"step": np.arange(3), "loss": np.full(3, np.nan), "loss_known": np.zeros(3, bool)}
    assert compare_losses(nothing, scalars([1, 2, 3])) is None
