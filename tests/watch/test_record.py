"""Pulses whose numbers are still on a device: written later, in order, and none lost at the end."""

from pathlib import Path

import numpy as np

from livegrad.run.rows import PulseRow
from livegrad.watch.record import MOST_WAITING, Record


class Memory:
    """A writer that keeps what it is given."""

    path = Path("memory")

    def __init__(self):
        self.rows, self.info, self.history = [], {}, []

    def update(self, **info):
        self.info.update(info)

    def pulse(self, row):
        self.rows.append(row)

    def losses(self, step, subject, loss):
        self.history += zip(step.tolist(), subject.tolist(), loss.tolist(), strict=True)

    def scan(self, row):
        raise NotImplementedError

    def close(self, **info):
        self.update(**info)


class Late:
    """A pulse that arrives when told."""

    cost = 0.0

    def __init__(self, step):
        self.step, self.here, self.waited = step, False, False

    def ready(self):
        return self.here

    def rows(self):
        self.waited = not self.here
        empty = {name: np.zeros(0) for name in PulseRow.__slots__ if "gradient_" in name or "weight_" in name}
        return [
            PulseRow(
                **{**empty, "gradient_sum_squares": 0.0},
                step=self.step,
                seconds=0.0,
                tensor=np.zeros(0),
                nonfinite=0,
            )
        ]


def steps(record):
    return [row.step for row in record.writer.rows]


def test_rows_keep_their_order_and_nobody_waits():
    record = Record(Memory())
    pulses = [Late(i) for i in range(4)]
    for pulse in pulses:
        record.add(pulse)
    pulses[1].here = True
    assert record.write_ready() == []
    pulses[0].here = True
    record.write_ready()
    assert steps(record) == [0, 1]
    assert not any(pulse.waited for pulse in pulses)


def test_at_the_end_everything_is_waited_for():
    record = Record(Memory())
    for i in range(3):
        record.add(Late(i))
    record.write_ready(wait=True)
    assert steps(record) == [0, 1, 2]


def test_the_queue_is_bounded():
    record = Record(Memory())
    for i in range(MOST_WAITING + 10):
        record.add(Late(i))
        record.write_ready()
    assert len(record.waiting) == MOST_WAITING


def test_notes_are_said_once_and_not_for_ever():
    record = Record(Memory())
    for _ in range(3):
        record.note(1, "event", "the same")
    for i in range(500):
        record.note(i, "event", f"another {i}")
    record.renew(steps=7)
    notes = record.writer.info["notes"]
    assert len(notes) == 200
    assert sum(note["text"] == "the same" for note in notes) == 1
    assert record.writer.info["steps"] == 7
