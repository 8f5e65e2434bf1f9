"""The zoo itself: known codes, enough of each, deterministic builds, labels confirmed by plain training."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from tests.zoo import CODES, TRUTHS, load_cases
from tests.zoo.verify import verify

CASES = load_cases()


def test_there_are_enough_cases_of_both_kinds_in_both_halves():
    counts = Counter((case.half, case.is_healthy) for case in CASES)
    assert sum(not case.is_healthy for case in CASES) >= 60
    assert sum(case.is_healthy for case in CASES) >= 60
    assert min(counts.values()) >= 25 and len(counts) == 4


def test_every_code_is_expected_somewhere_in_each_half():
    for half in ("tuning", "evaluation"):
        expected = frozenset().union(*(case.expect for case in load_cases(half)))
        assert expected == CODES.keys()


def test_labels_use_known_words_and_say_why():
    for case in CASES:
        assert case.expect | case.tolerated <= CODES.keys()
        assert case.truth in TRUTHS
        assert case.note.endswith(".") and len(case.note) > 7, case.name
        assert case.steps <= 400, case.name


@pytest.mark.parametrize(
    "name", ["relu-4-functional-dropout", "gan-generator-detached", "vae", "rnn-tanh-recall-80"]
)
def test_two_builds_of_a_case_train_alike(name):
    (case,) = [each for each in CASES if each.name == name]
    losses = []
    for _ in range(2):
        training = case.build()
        losses.append([training.step() for _ in range(3)])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    "name",
    ["sigmoid-24-xavier-adam", "relu-3-default-adam", "log-of-zero", "detach-between-encoder-and-head"],
)
def test_a_label_of_each_kind_is_confirmed(name):
    (case,) = [each for each in CASES if each.name == name]
    assert verify(case).confirmed


def test_a_wrong_label_is_not_confirmed():
    (well,) = load_cases(names=("relu-3-default-adam",))
    (sick,) = load_cases(names=("sigmoid-24-xavier-adam",))
    assert not verify(replace(well, truth="stuck")).confirmed
    assert not verify(replace(sick, truth="learns")).confirmed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plain_training_confirms_the_label(case):
    threads = torch.get_num_threads()
    try:
        outcome = verify(case)
    finally:
        torch.set_num_threads(threads)
    assert outcome.confirmed, outcome
