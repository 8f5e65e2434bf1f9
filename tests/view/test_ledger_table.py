"""The bill and the ledger as they are shown: aligned, adding up, opened where there is something inside."""

import pytest
from tests.view.conftest import make_line

from livegrad.view.ledger_table import (
    bill_table,
    bill_text,
    decades,
    recurrence_rows,
    subject_ledger,
    tree_rows,
)


@pytest.mark.parametrize(
    "value, shown",
    [(-14.23, "-14.2"), (0.04, "0.0"), (-0.04, "0.0"), (2.0, "+2.0"), (None, ""), ("-Infinity", "-inf")],
)
def test_decades_bear_their_sign(value, shown):
    assert decades(value) == shown


def test_columns_stand_under_their_headings():
    lines = bill_text(
        [make_line("Sigmoid", 24, -14.2, -13.9, -14.4), make_line("Linear", 24, -6.1, -6, None, 1.846)]
    )
    assert len({len(line) for line in lines if line.endswith("needs")} | {len(lines[2])}) == 1
    assert lines[0].split() == ["decades", "expected", "at", "best", "each", "passes", "on", "needs"]
    assert lines[2].split() == ["24", "Linear", "-6.1", "-6.0", "0.557", "1.85"]
    assert lines[-1].split() == ["together", "-20.3"]


def test_a_column_without_numbers_is_left_out():
    table = bill_table([make_line("mul", 3, -3, None, None), make_line("add", 3, 1, None, 0.0)])
    assert table["headings"] == ["", "decades", "each passes on"]


@pytest.mark.parametrize("width", [45, 60, 80])
def test_what_does_not_fit_is_left_out_from_the_right(width):
    bill = [make_line("Sigmoid", 24, -14.2, -13.9, -14.4), make_line("Linear", 24, -6.1, -6, None, 1.8)]
    lines = bill_text(bill, width)
    assert max(map(len, lines)) <= width
    assert lines[0].split()[:2] == ["decades", "expected"]


def test_a_single_line_says_no_more_than_the_sentence_above_it():
    assert bill_text([make_line("mul", 3, -3, None, None)]) == []
    assert bill_table([make_line("mul", 3, -3, None, None)])["lines"] == []


def test_small_lines_are_summed_and_the_sum_is_kept():
    bill = [make_line(f"op{i}", 1, -float(i), None, None) for i in range(10)]
    lines = bill_text(bill, most=3)
    assert lines[-2].split()[:3] == ["7", "others", "-21.0"]
    assert lines[-1].split() == ["together", "-45.0"]


def entry(name, kind, number, *paths):
    return {
        "name": name, "type": kind, "source": None, "decades": number, "expected_decades": None,
        "best_decades": None, "paths": list(paths),
    }  # fmt: skip


def path(kind, number, *entries):
    return {"number": 1, "kind": kind, "decades": number, "layers": [], "entries": list(entries)}


def test_the_tree_shows_what_lies_along_each_path():
    block = entry(
        "block", "Block", 0.2, path("identity", 0.0),
        path(
            "chain", -1.3, entry("block", "add", 0.0), entry("gate", "mul", -0.3), entry("fc", "Linear", -1.0)
        ),
    )  # fmt: skip
    rows = tree_rows([entry("head", "Linear", -0.5), block])
    assert [(row["name"], row["level"], row["decades"]) for row in rows] == [
        ("head", 0, "-0.5"), ("block", 0, "+0.2"), ("skip", 1, "0.0"), ("branch", 1, "-1.3"),
        ("gate", 2, "-0.3"), ("fc", 2, "-1.0"),
    ]  # fmt: skip


def test_a_document_without_a_ledger_shows_none(vanishing):
    assert subject_ledger(vanishing, "model") is None


def test_a_recurrence_is_shown_over_all_steps_and_inside_the_mean_one():
    slope, weights = entry("rnn[step] 0", "Tanh", -0.02), entry("rnn[step] 1", "recurrent weights", -0.23)
    path = {"number": 1, "kind": "chain", "decades": -0.25, "layers": ["Tanh", "recurrent weights"]}
    step = {**entry("rnn[step]", "RNN", -0.25), "paths": [path | {"entries": [slope, slope, weights]}]}
    bill = {"name": "rnn", "steps": 59, "steps_opened": 59, "total_decades": -14.75, "step": step}
    shown = [(row["name"], row["decades"], row["level"]) for row in recurrence_rows([bill])]
    assert shown[:3] == [
        ("rnn, 59 time steps", "-14.8", 0),
        ("each step, in the mean", "-0.2", 1),
        ("Tanh · recurrent weights", "-0.2", 2),
    ]
    assert [name for name, _, level in shown if level == 3] == ["Tanh", "recurrent weights"]
