"""How many first steps are recorded."""

import torch

from livegrad.treat.prescription import enough_lessons
from livegrad.treat.prescription.enough_lessons import BYTES, FEWEST, MOST, EnoughLessons


def test_steps_that_take_no_time_are_recorded_up_to_the_most():
    enough = EnoughLessons(torch.zeros(8, 8))
    assert [n for n in range(MOST + 1) if enough.reached(n)] == [MOST]


def test_slow_steps_are_recorded_as_few_as_will_do(monkeypatch):
    enough = EnoughLessons()
    monkeypatch.setattr(enough_lessons, "SECONDS", -1.0)
    assert not enough.reached(FEWEST - 1) and enough.reached(FEWEST)


def test_large_batches_are_kept_no_more_often_than_there_is_room():
    enough = EnoughLessons({"x": torch.empty(int(BYTES / 4 / 40), dtype=torch.float32)})
    assert not enough.reached(39) and enough.reached(41)


def test_of_several_optimizers_each_takes_as_many_steps():
    assert not EnoughLessons().reached(MOST, optimizers=2) and EnoughLessons().reached(2 * MOST, optimizers=2)
