"""The bytes of an Arrow IPC stream: where each message ends and where a record batch keeps its columns.

A stream of a large run is some GB in 100,000 messages of which a reader wants a few numbers each. So the
messages are not decoded: their flatbuffer metadata says at which offset of the body each column lies, and
messages of the same shape have the same metadata bytes, so each distinct one is parsed once. Source:
https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

import struct
from dataclasses import dataclass

import numpy as np

CONTINUATION = b"\xff\xff\xff\xff"
PREFIX_SIZE = 8
"""Bytes before a message's metadata: the continuation marker and the metadata's length (int32)."""

_RECORD_BATCH = 3


class FramingError(ValueError):
    """These bytes are not a message that livegrad can read."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column as the stream's own schema states it."""

    name: str
    dtype: np.dtype
    per_tensor: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the columns of one shape of record batch lie, in bytes from the start of the body.

    `flat` is a structured type that reads the per-row columns (each of shape (rows,)) from the first
    `flat.itemsize` bytes of the body. `lists` gives offset and type of the `entries` values of each list
    column. `nulls` names the flat columns whose values are null.
    """

    body_size: int
    rows: int
    entries: int
    flat: np.dtype
    lists: dict[str, tuple[int, np.dtype]]
    nulls: frozenset[str]

    def holds(self, name: str) -> bool:
        """Whether there is a flat column of this name whose values are not null."""
        return name in (self.flat.names or ()) and name not in self.nulls


def parse_layout(metadata: bytes, fields: tuple[Field, ...]) -> Layout:
    """The layout that one message's metadata describes. Raises FramingError if not of `fields`."""
    try:
        message = _Table.root(metadata)
        if message.scalar(1, "B") != _RECORD_BATCH:
            raise FramingError("not a record batch")
        body_size = message.scalar(3, "q")
        batch = message.table(2)
        rows = batch.scalar(0, "q")
        nodes = batch.pairs(1)
        buffers = batch.pairs(2)
        if batch.has(3):
            raise FramingError("compressed record batch")
        return _Walk(fields, rows, nodes, buffers, body_size).layout()
    except (struct.error, IndexError) as error:
        raise FramingError(f"damaged metadata ({error})") from error


class _Walk:
    """Goes through nodes and buffers in the order of the schema, as Arrow lists them."""

    def __init__(
        self,
        fields: tuple[Field, ...],
        rows: int,
        nodes: list[tuple[int, int]],
        buffers: list[tuple[int, int]],
        body_size: int,
    ) -> None:
        self.fields, self.rows, self.body_size = fields, rows, body_size
        self._nodes, self._buffers = iter(nodes), iter(buffers)

    def layout(self) -> Layout:
        """Raises FramingError where a buffer lies outside the body or lists have different lengths."""
        flat: dict[str, tuple[np.dtype, int]] = {}
        lists: dict[str, tuple[int, np.dtype]] = {}
        nulls = set()
        entries = {0}
        if self.rows < 0 or self.body_size < 0:
            raise FramingError("negative size")
        for field in self.fields:
            length, null_count = self._next(self._nodes)
            self._next(self._buffers)
            if length != self.rows:
                raise FramingError(f"column {field.name!r} has {length} of {self.rows} rows")
            if not field.per_tensor:
                flat[field.name] = (field.dtype, self._data(field.dtype, length))
                if null_count:
                    nulls.add(field.name)
                continue
            self._next(self._buffers)
            count, _ = self._next(self._nodes)
            self._next(self._buffers)
            lists[field.name] = (self._data(field.dtype, count), field.dtype)
            entries.add(count)
        return Layout(
            self.body_size,
            self.rows,
            _one_length(entries, self.rows),
            self._flat(flat),
            lists,
            frozenset(nulls),
        )

    @staticmethod
    def _next(items) -> tuple[int, int]:
        pair = next(items, None)
        if pair is None:
            raise FramingError("fewer columns than the schema has")
        return pair

    def _data(self, dtype: np.dtype, count: int) -> int:
        offset, size = self._next(self._buffers)
        if count < 0 or offset < 0 or size < count * dtype.itemsize or offset + size > self.body_size:
            raise FramingError("a column lies outside its message")
        return offset

    def _flat(self, columns: dict[str, tuple[np.dtype, int]]) -> np.dtype:
        ends = [offset + dtype.itemsize * self.rows for dtype, offset in columns.values()]
        return np.dtype(
            {
                "names": list(columns),
                "formats": [(dtype, (self.rows,)) for dtype, _ in columns.values()],
                "offsets": [offset for _, offset in columns.values()],
                "itemsize": max(ends, default=0),
            }
        )


def _one_length(entries: set[int], rows: int) -> int:
    lengths = entries - {0}
    if len(lengths) > 1 or (lengths and rows != 1):
        raise FramingError("lists of different lengths in one row, or lists in a batch of several rows")
    return lengths.pop() if lengths else 0


class _Table:
    """A flatbuffer table: enough to read the few fields of a Message and a RecordBatch."""

    def __init__(self, data: bytes, position: int) -> None:
        if not 0 <= position < len(data):
            raise FramingError("offset outside the metadata")
        self._data, self._position = data, position
        (back,) = struct.unpack_from("<i", data, position)
        self._vtable = position - back
        if self._vtable < 0:
            raise FramingError("offset outside the metadata")
        (self._vtable_size,) = struct.unpack_from("<H", data, self._vtable)

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def _field(self, index: int) -> int:
        """Position of a field, 0 where it is absent."""
        slot = 4 + 2 * index
        if slot + 2 > self._vtable_size:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._vtable + slot)
        return self._position + offset if offset else 0

    def has(self, index: int) -> bool:
        return self._field(index) != 0

    def scalar(self, index: int, kind: str) -> int:
        position = self._field(index)
        return struct.unpack_from("<" + kind, self._data, position)[0] if position else 0

    def _target(self, index: int) -> int:
        position = self._field(index)
        if not position:
            raise FramingError("a part of the metadata is absent")
        return position + struct.unpack_from("<I", self._data, position)[0]

    def table(self, index: int) -> "_Table":
        return _Table(self._data, self._target(index))

    def pairs(self, index: int) -> list[tuple[int, int]]:
        """A vector of structs of two int64."""
        position = self._target(index)
        (count,) = struct.unpack_from("<I", self._data, position)
        if count * 16 > len(self._data):
            raise FramingError("vector outside the metadata")
        flat = struct.unpack_from(f"<{2 * count}q", self._data, position + 4)
        return list(zip(flat[::2], flat[1::2], strict=True))
