"""What a scan adds to the passes it listens to counts as its cost."""

import pytest

from livegrad.watch import excess
from livegrad.watch.excess import Excess


@pytest.fixture
def time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(excess, "clock", lambda: now[0])

    def pass_(seconds):
        now[0] += seconds

    return pass_


def plain_step(found, time, forward=1.0, backward=2.0, model=7):
    found.forward_begins(model)
    time(forward)
    found.forward_ends(model)
    found.plain_backward(model, backward)


def test_only_what_is_longer_than_a_plain_pass_counts(time):
    found = Excess()
    plain_step(found, time)
    assert found.add(7, forward=1.5, backward=2.25) == pytest.approx(0.75)
    assert found.add(7, forward=0.5, backward=1.0) == 0.0
    assert found.seconds == pytest.approx(0.75)


def test_a_scan_before_any_plain_pass_is_taken_to_cost_what_the_next_does(time):
    found = Excess()
    assert found.add(7, forward=1.5, backward=2.5) == 0.0
    plain_step(found, time)
    assert found.add(7, forward=1.5, backward=2.5) == pytest.approx(2.0)
    assert found.add(7, forward=1.5, backward=2.5) == pytest.approx(1.0)


def test_models_are_not_compared_with_each_other(time):
    found = Excess()
    plain_step(found, time, model=1)
    assert found.add(2, forward=9.0, backward=9.0) == 0.0
    assert found.seconds == 0.0
