"""Offsets learnt from metadata are where the numbers are; damaged metadata is refused, never followed."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livegrad.run.batch import BatchEncoder
from livegrad.run.columns import PULSE_COLUMNS
from livegrad.run.framing import PREFIX_SIZE, Field, FramingError, parse_layout

FIELDS = tuple(Field(column.name, column.dtype, column.per_tensor) for column in PULSE_COLUMNS)


def message(entries: int, **changed) -> bytes:
    generator = np.random.default_rng(entries)
    row = {
        column.name: generator.integers(1, 99, entries) if column.per_tensor else 5 + number
        for number, column in enumerate(PULSE_COLUMNS)
    }
    encoder = BatchEncoder(PULSE_COLUMNS)
    encoder.schema_message()
    return encoder.batch_message({**row, **changed}, 1, entries)


def split(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[4:8], "little")
    return data[PREFIX_SIZE : PREFIX_SIZE + size], data[PREFIX_SIZE + size :]


METADATA, _ = split(message(3))


@pytest.mark.parametrize("entries", [0, 1, 7, 1000])
def test_the_numbers_at_the_offsets_are_those_pyarrow_decodes(entries):
    data = message(entries)
    metadata, body = split(data)
    layout = parse_layout(metadata, FIELDS)
    schema = pa.ipc.read_schema(pa.BufferReader(BatchEncoder(PULSE_COLUMNS).schema_message()))
    batch = pa.ipc.read_record_batch(pa.BufferReader(data), schema)
    row = batch.to_pylist()[0]
    assert layout.body_size == len(body)
    assert (layout.rows, layout.entries) == (1, entries)
    flat = np.frombuffer(body, layout.flat, 1)[0]
    for column in PULSE_COLUMNS:
        if column.per_tensor:
            offset, dtype = layout.lists[column.name]
            assert np.frombuffer(body, dtype, entries, offset).tolist() == row[column.name]
        else:
            assert flat[column.name].tolist() == [row[column.name]]


def test_nulls_are_known_from_the_metadata_alone():
    assert parse_layout(split(message(2, loss=None))[0], FIELDS).nulls == {"loss"}
    assert parse_layout(split(message(2))[0], FIELDS).nulls == frozenset()


def test_metadata_of_another_table_is_refused():
    with pytest.raises(FramingError, match="fewer columns"):
        parse_layout(METADATA, (*FIELDS, *FIELDS))


@pytest.mark.parametrize("size", [0, 1, 4, 8, 100, len(METADATA) // 2, len(METADATA) - 200])
def test_cut_metadata_is_refused(size):
    with pytest.raises(FramingError):
        parse_layout(METADATA[:size], FIELDS)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(FramingError):
        parse_layout(data, FIELDS)


@given(st.integers(0, len(METADATA) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_refusal_or_offsets_inside_the_body(position, byte):
    data = bytearray(METADATA)
    data[position] = byte
    try:
        layout = parse_layout(bytes(data), FIELDS)
    except FramingError:
        return
    assert layout.flat.itemsize <= layout.body_size
    for offset, dtype in layout.lists.values():
        assert 0 <= offset <= offset + layout.entries * dtype.itemsize <= layout.body_size
