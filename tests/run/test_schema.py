"""run.json as values: what is written comes back, what is odd does no harm."""

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.run import strict_json
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.schema import (
    PULSE_COLUMNS,
    SCAN_COLUMNS,
    Layer,
    Note,
    Optimizer,
    RunInfo,
    Subject,
    Tensor,
)

FULL = RunInfo(
    id="x",
    git={"commit": "abc", "dirty": True},
    command=("train.py", "--lr", "1"),
    subjects=(Subject(id=0, name="net", optimizers=(Optimizer("Adam", {"lr": 0.1, "betas": [0.9, 0.99]}),)),),
    tensors=(Tensor(id=0, name="w", shape=(2, 3), count=6, tied=("head",), called=True, reached=None),),
    layers=(Layer(id=0, depth=0, tensors=(0,), width=3),),
    notes=(Note(step=3, kind="warning", text="loss scale fell"),),
)


def through_json(info: RunInfo) -> RunInfo:
    return RunInfo.from_json(json.loads(strict_json.dumps(info.to_json())))


def test_a_full_record_comes_back_equal():
    assert through_json(FULL) == FULL


def test_unknown_keys_are_ignored_and_missing_or_mistyped_ones_take_defaults():
    info = RunInfo.from_json(
        {
            "from_the_future": 1,
            "steps": "many",
            "seconds": None,
            "tensors": [{"name": "w", "colour": "red"}, 5],
        }
    )
    assert (info.steps, info.seconds) == (0, 0.0)
    assert [tensor.name for tensor in info.tensors] == ["w", "?"]


@pytest.mark.parametrize("document", [None, [], "run", 3, {}, {"subjects": {"a": 1}}, {"layers": None}])
def test_any_json_value_gives_a_record(document):
    assert RunInfo.from_json(document) == RunInfo()


def test_non_finite_numbers_are_spelt_out_and_come_back():
    optimizer = Optimizer("SGD", {"lr": math.inf, "momentum": -math.inf, "name": "NaN-safe"})
    text = strict_json.dumps(RunInfo(seconds=math.nan, subjects=(Subject(optimizers=(optimizer,)),)))
    found = RunInfo.from_json(json.loads(text, parse_constant=pytest.fail))
    assert math.isnan(found.seconds)
    assert found.subjects[0].optimizers[0] == optimizer


HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "../../etc/passwd",
    "a" * 100_000,
    "\x00\x07\r\n",
    "层.\u202e0\U0001f525",
    "\ud800 lone surrogate",
    '"},{"',
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_data(name):
    info = RunInfo(script=name, tensors=(Tensor(name=name),), notes=(Note(text=name),))
    assert through_json(info) == info


@given(st.text(st.characters(codec=None)), st.floats(allow_nan=False))
def test_any_name_and_number_come_back(name, number):
    info = RunInfo(error=name, budget=number)
    assert through_json(info) == info


def test_rows_carry_every_column_of_their_stream():
    assert {item.name for item in fields(PulseRow)} == {column.name for column in PULSE_COLUMNS}
    assert {item.name for item in fields(ScanRow)} == {column.name for column in SCAN_COLUMNS}
