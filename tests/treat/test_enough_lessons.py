"""How many first steps are recorded."""

import torch

from livegrad.treat.prescription import enough_lessons
from livegrad.treat.prescription.enough_lessons import BYTES, FEWEST, MOST, EnoughLessons
from livegrad.treat.prescription.lesson import Operation, RecordedLesson


def lessons(number, size=64):
    """Steps of one operation on a batch of `size` numbers in float32."""
    batch = torch.empty(size)
    return [RecordedLesson(operations=[Operation((batch,), {})]) for _ in range(number)]


def test_steps_that_take_no_time_are_recorded_up_to_the_most():
    enough = EnoughLessons()
    assert [n for n in range(MOST + 1) if enough.reached(lessons(n))] == [MOST]


def test_slow_steps_are_recorded_as_few_as_will_do(monkeypatch):
    enough = EnoughLessons()
    monkeypatch.setattr(enough_lessons, "SECONDS", -1.0)
    assert not enough.reached(lessons(FEWEST - 1)) and enough.reached(lessons(FEWEST))


def test_large_batches_are_kept_no_more_often_than_there_is_room():
    size = int(BYTES / 4 / 40)
    assert not EnoughLessons().reached(lessons(39, size)) and EnoughLessons().reached(lessons(41, size))


def test_of_several_optimizers_each_takes_as_many_steps():
    assert not EnoughLessons().reached(lessons(MOST), optimizers=2)
    assert EnoughLessons().reached(lessons(2 * MOST), optimizers=2)
