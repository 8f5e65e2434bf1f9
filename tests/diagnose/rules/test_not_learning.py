"""LG503: a loss that stands at a constant answer's, though nothing else is wrong."""

import numpy as np
import pytest
from tests.diagnose.invented_run import FALLING, STUCK, Net

LEVEL = 2.3026
LONG = LEVEL + 0.03 * np.sin(1.7 * np.arange(200))


def net(loss=LONG, level=LEVEL, output=0.4, **train):
    made = Net(3)
    made.train(loss, **{"ratio": 8e-3, **train})
    for step in (0, 10, 30, 100):
        if step < len(loss):
            made.scan(step, output=output, constant_loss=level, task_loss=loss[step])
    return made


def test_a_loss_that_stands_at_the_entropy_of_the_labels_is_found(judge):
    finding = judge.one(net())
    assert (finding["code"], finding["name"], finding["severity"]) == ("LG503", "not-learning", "warning")
    evidence = finding["evidence"]
    assert evidence["loss_of_a_constant_answer"] == pytest.approx(LEVEL)
    assert evidence["way_of_the_weights_in_their_own_size"] == pytest.approx(1.592)
    assert finding["layers"] == [] and finding["last_step"] == 199
    assert "every layer is heard" in finding["explanation"] and "finite" in finding["explanation"]


def test_weights_that_do_not_move_at_all_are_named_as_the_reason(judge):
    finding = judge.one(net(ratio=1e-6, rate=1e-9))
    assert finding["severity"] == "error" and "1e-09" in finding["cause"]["summary"]


def test_a_fall_from_a_wild_start_that_ends_above_the_level_only_undoes_the_start(judge):
    """Logits of standard deviation 6 among ten classes: about log 10 and half a variance in cross-entropy."""
    taken_back = LEVEL + 0.5 + 18 * np.exp(-np.arange(200) / 60)
    finding = judge.one(net(taken_back, output=20.0, ratio=1e-3))
    assert (finding["code"], finding["severity"]) == ("LG503", "warning")
    assert finding["evidence"]["loss_at_the_start_over_a_constant_answers"] == pytest.approx(9, rel=0.03)
    assert [r["name"] for r in finding["remedies"]] == ["init"]


@pytest.mark.parametrize(("pace", "codes"), [(20, {}), (30, {"LG503": "warning"})])
def test_a_wild_start_that_takes_most_of_the_steps_is_found_though_it_is_undone_at_last(judge, pace, codes):
    """0.9 + 8 exp(-t/pace) is 1 at t = 4.4 pace: after 88 steps of 200, and after 131."""
    below = LEVEL * (0.9 + 8 * np.exp(-np.arange(200) / pace))
    assert judge.codes(net(below, output=20.0, ratio=1e-3)) == codes
    assert judge.codes(net(below, output=0.4, ratio=1e-3)) == {}


def test_targets_that_lie_far_off_are_learnt_first_and_that_takes_its_time(judge):
    """Targets of mean 4 in their spread: an answer of next to nothing costs 17 times the variance."""
    for pace, codes in ((120, {}), (2000, {"LG503": "warning"})):
        falling = LEVEL * (1 + 16 * np.exp(-np.arange(240) / pace) - 1e-3)
        assert judge.codes(net(falling, ratio=1e-3)) == codes


def test_weights_that_come_no_hundredth_of_their_way_in_hundreds_of_steps_stand_still_too(judge):
    long = LEVEL + 0.03 * np.sin(1.7 * np.arange(400))
    finding = judge.one(net(long, ratio=2e-5, rate=1e-6))
    assert finding["severity"] == "error" and "learning rate of 1e-06" in finding["cause"]["summary"]
    assert judge.codes(net(long, ratio=5e-5)) == {}


@pytest.mark.parametrize(
    ("optimizer", "rate", "decay"),
    [("SGD", 1e-3, 0.3), ("AdamW", 1e-3, 0.3), ("Adam", 1e-3, 300.0)],
)
def test_what_decay_takes_of_the_weights_is_no_learning(judge, optimizer, rate, decay):
    """η λ = 3e-4 of the weights a step comes to their own size in 3,333 steps, without any gradient."""
    long = LEVEL + 0.03 * np.sin(1.7 * np.arange(400))
    made = net(long, ratio=rate * decay if optimizer != "Adam" else 3e-4, rate=rate, gradient=1e-9)
    made.settings = {"type": optimizer, "settings": {"lr": rate, "weight_decay": decay}}
    finding = judge.one(made)
    assert finding["severity"] == "error" and "hardly move" in finding["cause"]["summary"]
    made.settings["settings"]["weight_decay"] = 0.0
    assert judge.codes(made) == {}


@pytest.mark.parametrize(
    "why, made",
    [
        ("a loss that comes down", net(LEVEL * np.exp(-np.arange(200) / 100))),
        ("one that comes down slowly enough to hope", net(LEVEL * (1.6 - 0.6 * np.arange(200) / 200))),
        ("a loss under the constant's", net(0.9 * LONG)),
        ("weights that have only set out", net(ratio=1e-3)),
        ("too few steps", net(LONG[:30], ratio=5e-2)),
        ("a level that is not known", net(level=np.nan)),
        ("targets that are all the same", net(level=0.0)),
    ],
)
def test_what_is_no_evidence(judge, why, made):
    assert judge.codes(made) == {}, why


def test_a_loss_with_other_terms_is_not_compared(judge):
    made = Net(3).train(LONG, ratio=8e-3)
    for step, task in ((0, 2.3), (10, 1.7), (30, 1.1), (100, 0.9)):
        made.scan(step, constant_loss=LEVEL, task_loss=task)
    assert judge.codes(made) == {}


def test_a_sum_over_the_batch_is_known_by_its_factor(judge):
    made = Net(3).train(64 * LONG, ratio=8e-3)
    for step in (0, 10, 30, 100):
        made.scan(step, constant_loss=LEVEL, task_loss=LONG[step])
    assert judge.one(made)["evidence"]["loss_of_a_constant_answer"] == pytest.approx(64 * LEVEL)


def test_a_net_that_cannot_hear_its_loss_has_that_for_its_fault(judge):
    made = Net(3)
    made.train(LONG, ratio=8e-3)
    for step in (0, 10, 30):
        made.scan(step, decades=made.ramp(-8), constant_loss=LEVEL, task_loss=LONG[step])
    assert set(judge.codes(made)) == {"LG101"}


def test_models_that_are_trained_against_each_other_are_not_judged(judge):
    other = Net(2, subject=1, name="critic").scan(0, 10, 30).train(LONG)
    assert judge.codes(net(), other) == {}


def test_a_fall_to_the_level_of_a_constant_is_no_learning(judge):
    """Steps that throw the weights about: the loss comes down from where they threw it, and no further."""
    thrown = np.concatenate([[2.4, 30.0, 25.0, 12.0], LEVEL + 10 * np.exp(-np.arange(60) / 6)])
    made = Net(3).train(thrown, ratio=0.5)
    for step in (0, 10, 30):
        made.scan(step, constant_loss=LEVEL, task_loss=thrown[step])
    assert judge.codes(made) == {"LG402": "error"}
    assert judge.codes(Net(3).train(FALLING, ratio=0.5).scan(0, 10)) == {}
    assert judge.codes(Net(3).train(STUCK, ratio=0.5).scan(0, 10)) == {"LG402": "error"}
