"""An Arrow IPC stream on disk, maybe still growing: finds its whole messages, reads the bytes asked for."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import nanoarrow as na
import numpy as np

from livegrad.errors import RunError
from livegrad.run.columns import SCHEMA_VERSION, VERSION_KEY, Column
from livegrad.run.file_bytes import AHEAD, FileBytes
from livegrad.run.framing import CONTINUATION, PREFIX_SIZE, Field, FramingError, Layout, parse_layout
from livegrad.run.info_file import newer_version_error

_FIRST_READ = 4096
_METADATA_LIMIT = 1 << 26
_NEEDED = {"step", "tensor", "layer"}
_END_OF_STREAM = CONTINUATION + b"\0\0\0\0"
_DTYPES = {"c": "i1", "s": "<i2", "i": "<i4", "l": "<i8", "f": "<f4", "g": "<f8"}


@dataclass(frozen=True, slots=True)
class Message:
    """One whole record batch: its layout, where its body starts in the file, and its flat columns' bytes."""

    layout: Layout
    body: int
    head: bytes

    def flat(self) -> np.ndarray:
        """The per-row columns as a structured scalar; `[name]` has shape (rows,)."""
        return np.frombuffer(self.head, self.layout.flat, 1)[0]


class Stream:
    """The whole messages of one stream file.

    `extend` finds those that were added since the last call; a torn tail is not yet a message. `damage`
    says in words what stops the reader before the end of the file (None: nothing, or only an unfinished
    message). A missing file is a stream without messages.
    """

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self.path = path
        self._expected = {column.name: column for column in columns}
        self.fields: tuple[Field, ...] = ()
        self.metadata: dict[str, str] = {}
        self.end = 0
        self.unread = 0
        self.finished = False
        self.damage: str | None = None
        self._layouts: dict[bytes, Layout] = {}

    def fork(self) -> "Stream":
        """A stream that stands where this one does, and goes on by itself."""
        twin = copy(self)
        twin._layouts = dict(self._layouts)
        return twin

    @contextmanager
    def open(self) -> Iterator[FileBytes]:
        """The file for a while; it is not kept open, so it may be replaced by a longer copy of itself."""
        try:
            with self.path.open("rb", buffering=0) as file:
                yield FileBytes(file)
        except OSError as error:
            raise RunError(
                f"cannot read {str(self.path)!r}: {error.strerror}. "
                "Check that the run folder is still there and readable, then try again."
            ) from error

    def extend(self) -> list[Message]:
        """The messages added since the last call. Raises RunError for a stream of a newer livegrad."""
        if self.finished or not self.path.exists():
            return []
        self.damage = None
        with self.open() as data:
            found = list(self._walk(data))
            self.unread = data.size - self.end
        return found

    def _walk(self, data: FileBytes) -> Iterator[Message]:
        try:
            if not self.end and not self._read_schema(data):
                return
            guess = _FIRST_READ
            while message := self._next(data, guess):
                yield message
                guess = message.body - self.end + message.layout.flat.itemsize
                end = message.body + message.layout.body_size
                data.expect(end + AHEAD * (end - self.end), guess, stride=end - self.end)
                self.end = end
        except FramingError as error:
            self.damage = f"{self.path.name}: {error} at byte {self.end}; what follows is not read"

    def _next(self, data: FileBytes, guess: int) -> Message | None:
        """The message at `end`, or None where it is not all there yet."""
        chunk = data.read(self.end, guess)
        size = _metadata_size(chunk)
        if size is None:
            return None
        if size == 0:
            self.finished = True
            self.end += PREFIX_SIZE
            return None
        body = self.end + PREFIX_SIZE + size
        if body > data.size:
            return None
        if len(chunk) < PREFIX_SIZE + size:
            chunk = data.read(self.end, PREFIX_SIZE + size)
        metadata = chunk[PREFIX_SIZE : PREFIX_SIZE + size]
        layout = self._layouts.get(metadata)
        if layout is None:
            layout = self._layouts[metadata] = parse_layout(metadata, self.fields)
        if body + layout.body_size > data.size:
            return None
        head = chunk[PREFIX_SIZE + size : PREFIX_SIZE + size + layout.flat.itemsize]
        if len(head) < layout.flat.itemsize:
            head = data.read(body, layout.flat.itemsize)
        return Message(layout, body, head)

    def _read_schema(self, data: FileBytes) -> bool:
        prefix = data.read(0, PREFIX_SIZE)
        size = _metadata_size(prefix)
        if not size or PREFIX_SIZE + size > data.size:
            return False
        message = data.read(0, PREFIX_SIZE + size)
        try:
            with na.ArrayStream.from_readable(message + _END_OF_STREAM) as stream:
                schema = stream.schema
                entries = dict((schema.metadata or {}).items())
                fields = tuple(_field(schema.field(i)) for i in range(schema.n_fields))
        except (RuntimeError, ValueError, KeyError, OSError) as error:
            raise FramingError("not an Arrow schema") from error
        self.metadata = {
            key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in entries.items()
        }
        self._check_version()
        self._check_types(fields)
        self.fields = fields
        self.end = PREFIX_SIZE + size
        return True

    def _check_version(self) -> None:
        version = self.metadata.get(VERSION_KEY, "")
        if not version.isdigit():
            raise FramingError("an Arrow stream, but not one that livegrad wrote")
        if int(version) > SCHEMA_VERSION:
            raise newer_version_error(self.path, int(version))

    def _check_types(self, fields: tuple[Field, ...]) -> None:
        for field in fields:
            column = self._expected.get(field.name)
            if column and (field.dtype, field.per_tensor) != (column.dtype, column.per_tensor):
                raise FramingError(f"column {field.name!r} is not of the type that livegrad writes")
        for name in (self._expected.keys() & _NEEDED) - {field.name for field in fields}:
            raise FramingError(f"column {name!r} is missing")


def _metadata_size(chunk: bytes) -> int | None:
    """Size of the metadata that follows, None where the prefix is not all there yet."""
    if len(chunk) < PREFIX_SIZE:
        if not CONTINUATION.startswith(chunk[:4]):
            raise FramingError("no message starts here")
        return None
    if chunk[:4] != CONTINUATION:
        raise FramingError("no message starts here")
    (size,) = struct.unpack_from("<i", chunk, 4)
    if not 0 <= size <= _METADATA_LIMIT:
        raise FramingError("impossible message size")
    return size


def _field(schema: na.Schema) -> Field:
    """Raises KeyError for a type that livegrad does not write."""
    per_tensor = schema.type == na.Type.LIST
    value = schema.value_type if per_tensor else schema
    return Field(schema.name or "", np.dtype(_DTYPES[na.c_schema(value).format]), per_tensor)
