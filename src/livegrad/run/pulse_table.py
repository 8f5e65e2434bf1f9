"""Every recorded step of one rank: its scalars in memory, its lists on disk until asked for."""

from collections.abc import Iterator
from copy import copy
from pathlib import Path

import numpy as np

from livegrad.run.columns import PULSE_COLUMNS, Column
from livegrad.run.framing import Layout
from livegrad.run.stream import Message, Stream

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
        self._id_lists: dict[bytes, int] = {}
        self._id_list = np.empty(0, np.int64)

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

    def places(self, tensor: int) -> np.ndarray:
        """Where the lists of each row hold this tensor, shape (S,); -1 where they do not."""
        place_in_list = np.array([_place(ids, tensor) for ids in self._known_id_lists()], np.int64)
        return place_in_list[self._id_list] if len(self) else np.empty(0, np.int64)

    def _known_id_lists(self) -> list[bytes]:
        """The distinct `tensor` lists; `_id_list` says which one each row has."""
        new = np.arange(len(self._id_list), len(self))
        numbers = [
            self._id_lists.setdefault(ids, len(self._id_lists)) for ids in self._each_list(new, "tensor")
        ]
        self._id_list = np.concatenate([self._id_list, np.array(numbers, np.int64)])
        return list(self._id_lists)

    def entries(self, rows: np.ndarray, places: np.ndarray, name: str) -> np.ndarray:
        """One value of a list column for each of these rows: the one at its place, shape (len(rows),)."""
        column = _BY_NAME[name]
        starts = self._starts(rows, name)
        if starts is None:
            return np.full(len(rows), column.missing, column.dtype)
        width = column.dtype.itemsize
        with self.stream.open() as data:
            found = b"".join(data.take_each(starts + places * width, np.full(len(rows), width)))
        return np.frombuffer(found, column.dtype)

    def updates_sampled(self) -> np.ndarray:
        """Which rows (S,) hold the size of at least one applied update."""
        new = np.arange(len(self._sampled), len(self))
        found = [_any_number(values) for values in self._each_list(new, "update_sum_squares")]
        self._sampled = np.concatenate([self._sampled, np.array(found, bool)])
        return self._sampled

    def rows(self, numbers: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Every list column of each of these rows in turn, by name; each of shape (T of that row,)."""
        if not len(numbers):
            return
        layouts = [self._layouts[shape] for shape in self._shapes[numbers]]
        sizes = np.array([layout.body_size for layout in layouts])
        with self.stream.open() as data:
            for body, layout in zip(data.take_each(self._bodies[numbers], sizes), layouts, strict=True):
                yield {column.name: _take(body, layout, column) for column in LISTS}

    def lists(self, rows: np.ndarray, name: str) -> Iterator[np.ndarray]:
        """One list column of each of these rows in turn, shape (T of that row,); nothing else is read."""
        column = _BY_NAME[name]
        return (np.frombuffer(values, column.dtype) for values in self._each_list(rows, name))

    def like_rows(self, rows: np.ndarray) -> np.ndarray:
        """The first of these rows, as many as have lists of one length."""
        lengths = np.array([layout.entries for layout in self._layouts])[self._shapes[rows]]
        other = np.flatnonzero(lengths != lengths[0])
        return rows[: other[0]] if len(other) else rows

    def stacked(self, rows: np.ndarray, name: str) -> np.ndarray:
        """One list column of rows with lists of one length, shape (len(rows), T)."""
        column, count = _BY_NAME[name], self._layouts[self._shapes[rows[0]]].entries
        found = np.frombuffer(b"".join(self._each_list(rows, name)), column.dtype)
        if not len(found) and count:
            return np.full((len(rows), count), column.missing, column.dtype)
        return found.reshape(len(rows), count)

    def fork(self) -> "PulseTable":
        """A table that knows what this one knows, and reads on by itself."""
        # Arrays are replaced when they grow, never changed; only these are.
        twin = copy(self)
        twin.stream = self.stream.fork()
        twin._layouts, twin._numbers = list(self._layouts), dict(self._numbers)
        twin._id_lists = dict(self._id_lists)
        return twin

    def id_lists(self, numbers: np.ndarray) -> list[np.ndarray]:
        """The distinct `tensor` lists of these rows."""
        found = dict.fromkeys(self._each_list(numbers, "tensor"))
        return [np.frombuffer(ids, _BY_NAME["tensor"].dtype) for ids in found]

    def _each_list(self, rows: np.ndarray, name: str) -> Iterator[bytes]:
        """The bytes of one list column of each row; empty where the stream has no such column."""
        starts = self._starts(rows, name)
        if starts is None or not len(rows):
            yield from (b"" for _ in rows)
            return
        lengths = np.array([layout.entries for layout in self._layouts])
        with self.stream.open() as data:
            yield from data.take_each(starts, lengths[self._shapes[rows]] * _BY_NAME[name].dtype.itemsize)

    def _starts(self, rows: np.ndarray, name: str) -> np.ndarray | None:
        """Where in the file this list starts in each row; None where the stream has no such column."""
        if not all(name in layout.lists for layout in self._layouts):
            return None
        offsets = np.array([layout.lists[name][0] for layout in self._layouts], np.int64)
        return self._bodies[rows] + offsets[self._shapes[rows]]


def _place(ids: bytes, tensor: int) -> int:
    found = np.flatnonzero(np.frombuffer(ids, _BY_NAME["tensor"].dtype) == tensor)
    return int(found[0]) if len(found) else -1


def _any_number(values: bytes) -> bool:
    # Most rows hold nothing but numpy's own NaN, and comparing bytes is the fast way to see that.
    if values == _NAN_BYTES * (len(values) // len(_NAN_BYTES)):
        return False
    return not bool(np.isnan(np.frombuffer(values, "<f8")).all())


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
