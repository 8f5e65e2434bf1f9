"""Every recorded step of one rank: its scalars in memory, its lists on disk until asked for."""

from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.columns import PULSE_COLUMNS, Column
from livegrad.run.framing import Layout
from livegrad.run.stream import FileBytes, Message, Stream

SCALARS = tuple(column for column in PULSE_COLUMNS if not column.per_tensor)
LISTS = tuple(column for column in PULSE_COLUMNS if column.per_tensor)
_NAN_BYTES = np.array(np.nan, "<f8").tobytes()
_BY_NAME = {column.name: column for column in LISTS}


class PulseTable:
    """The rows of one pulse stream, in file order; `extend` adds those written since.

    `scalars` maps each per-row column to an array of shape (S,), with `loss_known` (bool) beside `loss`,
    because a loss that is unknown (null) and one that is NaN are different facts.
    """

    def __init__(self, path: Path) -> None:
        self.stream = Stream(path, PULSE_COLUMNS)
        self.scalars: dict[str, np.ndarray] = _scalars([])
        self._bodies = np.empty(0, np.int64)
        self._shapes = np.empty(0, np.int32)
        self._layouts: list[Layout] = []
        self._numbers: dict[int, int] = {}
        self._sampled = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self._bodies)

    def extend(self) -> int:
        """Read what was added to the file; returns the number of new rows."""
        found = [message for message in self.stream.extend() if message.layout.rows == 1]
        if found:
            new = _scalars(found)
            self.scalars = {name: np.concatenate([old, new[name]]) for name, old in self.scalars.items()}
            self._bodies = np.concatenate([self._bodies, np.array([item.body for item in found], np.int64)])
            shapes = np.array([self._number(item.layout) for item in found], np.int32)
            self._shapes = np.concatenate([self._shapes, shapes])
        return len(found)

    def _number(self, layout: Layout) -> int:
        number = self._numbers.setdefault(id(layout), len(self._layouts))
        if number == len(self._layouts):
            self._layouts.append(layout)
        return number

    def open(self):
        """The file, for `values` and `entry`."""
        return self.stream.open()

    def values(self, data: FileBytes, row: int, name: str) -> np.ndarray:
        """One list column of one row, shape (T of that row,)."""
        layout, column = self._layouts[self._shapes[row]], _BY_NAME[name]
        return _decode(data, int(self._bodies[row]), layout, column, 0, layout.entries)

    def entry(self, data: FileBytes, row: int, name: str, index: int) -> Any:
        """One value of one list column of one row."""
        layout, column = self._layouts[self._shapes[row]], _BY_NAME[name]
        return _decode(data, int(self._bodies[row]), layout, column, index, 1)[0]

    def updates_sampled(self) -> np.ndarray:
        """Which rows (S,) hold the size of at least one applied update."""
        known = len(self._sampled)
        if known < len(self):
            with self.open() as data:
                new = [
                    _any_number(self.values(data, row, "update_sum_squares"))
                    for row in range(known, len(self))
                ]
            self._sampled = np.concatenate([self._sampled, np.array(new, bool)])
        return self._sampled

    def rows(self, numbers: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Every list column of each of these rows."""
        if not len(numbers):
            return []
        with self.open() as data:
            return [self._row(data, int(number)) for number in numbers]

    def _row(self, data: FileBytes, row: int) -> dict[str, np.ndarray]:
        layout, body = self._layouts[self._shapes[row]], int(self._bodies[row])
        content = data.take(body, layout.body_size)
        return {column.name: _take(content, layout, column) for column in LISTS}


def _any_number(values: np.ndarray) -> bool:
    # Most rows hold nothing but numpy's own NaN, and comparing bytes is ten times faster than looking at
    # each.
    return values.tobytes() != _NAN_BYTES * len(values) and not bool(np.isnan(values).all())


def _decode(data: FileBytes, body: int, layout: Layout, column: Column, first: int, count: int) -> np.ndarray:
    place = layout.lists.get(column.name)
    if place is None:
        return np.full(count, column.missing, column.dtype)
    offset, dtype = place
    return np.frombuffer(data.take(body + offset + first * dtype.itemsize, count * dtype.itemsize), dtype)


def _take(content: bytes, layout: Layout, column: Column) -> np.ndarray:
    place = layout.lists.get(column.name)
    if place is None:
        return np.full(layout.entries, column.missing, column.dtype)
    return np.frombuffer(content, place[1], layout.entries, place[0])


def _scalars(messages: list[Message]) -> dict[str, np.ndarray]:
    """The per-row columns of these messages, decoded once for each shape of message."""
    count = len(messages)
    table = {
        column.name: np.full(count, column.missing, column.dtype.newbyteorder("=")) for column in SCALARS
    }
    table["loss_known"] = np.ones(count, bool)
    groups: dict[int, list[int]] = {}
    for number, message in enumerate(messages):
        groups.setdefault(id(message.layout), []).append(number)
    for numbers in groups.values():
        layout = messages[numbers[0]].layout
        block = np.frombuffer(b"".join(messages[number].head for number in numbers), layout.flat)
        for column in SCALARS:
            if layout.holds(column.name):
                table[column.name][numbers] = block[column.name][:, 0]
        table["loss_known"][numbers] = layout.holds("loss")
    return table
