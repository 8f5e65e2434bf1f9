"""Arrow record batches as bytes, through nanoarrow, at the cost of a few copies.

Building the C arrays of one row anew costs nanoarrow some 200 µs. So they are built once for each shape of
row (how many tensors, which values are null) around numpy buffers that are then overwritten in place.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.ipc import StreamWriter

from livegrad.run.columns import SCHEMA_VERSION, VERSION_KEY, Column

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"

_ARROW_TYPES = {"int32": na.int32, "int64": na.int64, "float32": na.float32, "float64": na.float64}
_TEMPLATES_KEPT = 32


class _Sink:
    """Collects what nanoarrow writes, so that a whole message can go to the file in one call."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        message = b"".join(self.parts)
        self.parts.clear()
        return message


class BatchEncoder:
    """Turns rows of one table into the messages of one Arrow IPC stream.

    `columns` are the table's; `metadata` joins the schema version in the Arrow schema.
    """

    def __init__(self, columns: tuple[Column, ...], metadata: Mapping[str, str] | None = None) -> None:
        self.columns = columns
        struct = na.struct({column.name: _arrow_type(column) for column in columns}, nullable=False)
        entries = {VERSION_KEY: str(SCHEMA_VERSION), **(metadata or {})}
        self._schema = na.c_schema(na.Schema(struct, metadata=entries))
        self._fields = [self._schema.child(i) for i in range(self._schema.n_children)]
        self._sink = _Sink()
        self._writer = StreamWriter.from_writable(self._sink)
        self._templates: OrderedDict[tuple[Any, ...], _Template] = OrderedDict()

    def schema_message(self) -> bytes:
        """The first message of the stream; call it once, before any batch."""
        self._writer.write_stream(
            CArrayStream.from_c_arrays([], self._schema, validate=False), write_schema=True
        )
        return self._sink.take()

    def batch_message(self, values: Mapping[str, Any], rows: int, entries: int) -> bytes:
        """One record batch: flat columns of length `rows`, list columns of `entries` values.

        A value None is null. Lists need rows == 1. A scalar is repeated. Raises ValueError where a length
        is wrong.
        """
        nulls = tuple(
            column.name for column in self.columns if column.nullable and values[column.name] is None
        )
        key = (rows, entries, nulls)
        self._sink.take()  # what an interrupted call may have left
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = _Template(
                self.columns, self._schema, self._fields, rows, entries, nulls
            )
            if len(self._templates) > _TEMPLATES_KEPT:
                self._templates.popitem(last=False)
        with np.errstate(all="ignore"):
            for name, buffer in template.buffers.items():
                _fill(buffer, values[name], name)
        self._writer.write_array(template.array)
        return self._sink.take()


class _Template:
    """The C arrays of one shape of row; `buffers` are the numpy arrays that back them, by column name."""

    def __init__(
        self,
        columns: tuple[Column, ...],
        schema: Any,
        fields: list[Any],
        rows: int,
        entries: int,
        nulls: tuple,
    ) -> None:
        self.buffers: dict[str, np.ndarray] = {}
        children = []
        for column, field in zip(columns, fields, strict=True):
            length = entries if column.per_tensor else rows
            data = np.zeros(length, column.dtype)
            if column.name not in nulls:
                self.buffers[column.name] = data
            if column.per_tensor:
                values = _array(field.child(0), entries, data)
                offsets = np.array([0, entries], "<i4")
                children.append(_array(field, 1, offsets, children=[values]))
            else:
                children.append(_array(field, rows, data, null=column.name in nulls))
        self.array = na.c_array_from_buffers(schema, rows, [None], null_count=0, children=children, move=True)


def _fill(buffer: np.ndarray, value: Any, name: str) -> None:
    shape = getattr(value, "shape", None)
    if shape is None:
        shape = np.shape(value)
    if shape not in ((), buffer.shape):
        raise ValueError(f"column {name!r} has shape {tuple(shape)}, this row needs {buffer.shape}")
    buffer[...] = value


def _arrow_type(column: Column) -> Any:
    value = _ARROW_TYPES[column.type]
    return (
        na.list_(value(nullable=False), nullable=False)
        if column.per_tensor
        else value(nullable=column.nullable)
    )


def _array(
    field: Any, length: int, data: np.ndarray, null: bool = False, children: list[Any] | None = None
) -> Any:
    validity = np.zeros((length + 7) // 8, np.uint8) if null else None
    count = length if null else 0
    return na.c_array_from_buffers(field, length, [validity, data], null_count=count, children=children or ())
