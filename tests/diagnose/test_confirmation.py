"""What a counterfactual proves of a cause: its own decades have to go with it, and no small part of the
whole.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.diagnose.confirmation import judge, with_counterfactual
from livegrad.diagnose.finding import Cause, Finding
from livegrad.diagnose.patient import Patient
from livegrad.run.reader import Run
from livegrad.run.schema import Counterfactual, RunInfo, Subject


@pytest.mark.parametrize(
    ("before", "after", "blamed", "verdict"),
    [
        (-20.3, -0.4, -19.0, (True, True)),
        (-20.3, -5.9, -14.2, (True, False)),  # its 14 decades are gone; six have another cause
        (-20.3, -19.8, -14.2, (False, False)),  # nothing went
        (-20.3, -14.0, -14.2, (False, False)),  # under half of what it is blamed for
        (-20.3, -18.0, -2.0, (False, False)),  # all that it is blamed for, but a ninth of the fault
        (-20.3, -31.0, -14.2, (False, False)),  # worse
        (-math.inf, -1.0, -14.2, (True, True)),
        (-math.inf, -math.inf, -14.2, (False, False)),
        (-math.inf, -12.0, None, (True, False)),
        (-4.0, 1.5, None, (True, True)),  # a little too far
        (-4.0, 3.5, None, (True, False)),  # one fault for another
        (5.0, 0.5, 5.0, (True, True)),
        (5.0, 4.0, 5.0, (False, False)),
        (5.0, -2.9, 5.0, (True, True)),
    ],
)
def test_decades(before, after, blamed, verdict):
    assert judge("decades", before, after, blamed) == verdict


@pytest.mark.parametrize(
    ("measure", "before", "after", "verdict"),
    [
        ("saturated_share", 0.97, 0.03, (True, True)),
        ("saturated_share", 0.97, 0.90, (False, False)),
        ("dead_share", 1.0, 0.45, (True, True)),
        ("dead_share", 1.0, 1.0, (False, False)),
        ("dead_share", 0.95, 0.6, (False, False)),
    ],
)
def test_shares(measure, before, after, verdict):
    assert judge(measure, before, after, None) == verdict


@given(st.floats(-40, -1), st.floats(-40, 40), st.one_of(st.none(), st.floats(-40, 40)))
def test_less_that_is_left_never_proves_less_and_both_directions_are_alike(before, after, blamed):
    mirrored = judge("decades", -before, -after, None if blamed is None else -blamed)
    found = judge("decades", before, after, blamed)
    assert found == mirrored
    if found[0] and after < 0:
        assert judge("decades", before, after / 2, blamed)[0]


def finding(cause):
    return Finding(
        "LG101", "vanishing-gradient", "error", ("a",), "m", "e", "n", subject="model", cause=cause
    )


def patient(tmp_path, *tried):
    info = RunInfo(subjects=(Subject(id=0, name="model"),), counterfactuals=tried)
    run = object.__new__(Run)
    run.info = info
    return Patient(run, info.subjects[0])


def tried(**more):
    known = {"code": "LG101", "cause": "Sigmoid", "kind": "activation-slope", "step": 10, "layers": (1,)}
    known |= {"change": "without the 24 Sigmoid: what goes in is passed on", "decades_before": -20.3}
    return Counterfactual(**(known | {"decades_after": -0.4} | more))


CAUSE = Cause("24 Sigmoid: -19.0 decades", "Sigmoid", -19.0, kind="activation-slope", layers=("b",))


def test_a_confirmed_cause_says_what_was_measured(tmp_path):
    cause = with_counterfactual(patient(tmp_path, tried()), found := finding(CAUSE)).cause
    assert cause is not None
    assert cause.confirmed is True
    assert cause.summary == CAUSE.summary
    said = "confirmed: without the 24 Sigmoid the same batch loses 0.4 decades instead of 20.3"
    assert cause.counterfactual == said
    evidence = with_counterfactual(patient(tmp_path, tried()), found).evidence
    assert evidence == {"on_the_same_batch_decades": -20.3, "with_cause_removed_decades": -0.4}


def test_a_cause_that_is_not_confirmed_is_only_suspected(tmp_path):
    cause = with_counterfactual(patient(tmp_path, tried(decades_after=-19.9)), finding(CAUSE)).cause
    assert cause is not None
    assert cause.confirmed is False
    assert cause.summary == f"suspected: {CAUSE.summary}"
    assert str(cause.counterfactual).startswith(
        "not confirmed: without the 24 Sigmoid the same batch loses 19.9"
    )


def test_where_nothing_arrives_either_way_no_number_is_pretended(tmp_path):
    nothing = tried(decades_before=-math.inf, decades_after=-math.inf)
    cause = with_counterfactual(patient(tmp_path, nothing), finding(CAUSE)).cause
    assert cause is not None
    said = "not confirmed: without the 24 Sigmoid the same batch still loses everything"
    assert cause.counterfactual == said


def test_what_is_left_has_another_cause(tmp_path):
    cause = with_counterfactual(patient(tmp_path, tried(decades_after=-5.9)), finding(CAUSE)).cause
    assert cause is not None
    assert cause.confirmed is True
    assert str(cause.counterfactual).startswith("confirmed in part: ")


def test_a_cause_that_could_not_be_tried_says_why(tmp_path):
    failed = tried(decades_before=None, decades_after=None, note="the model cannot be copied")
    cause = with_counterfactual(patient(tmp_path, failed), finding(CAUSE)).cause
    assert cause is not None
    assert cause.confirmed is None
    assert cause.counterfactual == "not tried on a copy: the model cannot be copied"


@pytest.mark.parametrize(
    "other", [{"code": "LG103"}, {"cause": "Linear"}, {"kind": "operation"}, {"subject": 1}]
)
def test_a_counterfactual_of_something_else_proves_nothing(tmp_path, other):
    found = finding(CAUSE)
    cause = with_counterfactual(patient(tmp_path, tried(**other)), found).cause
    assert cause is not None
    assert (cause.confirmed, cause.counterfactual) == (None, None)
    assert cause.summary == f"suspected: {CAUSE.summary}"


def test_the_one_with_numbers_counts(tmp_path):
    failed = tried(decades_before=None, decades_after=None, note="no", step=30)
    cause = with_counterfactual(patient(tmp_path, failed, tried()), finding(CAUSE)).cause
    assert cause is not None
    assert cause.confirmed is True
