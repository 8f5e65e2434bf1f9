"""The bytes of a record: what nanoarrow wrote is what any Arrow reader gets."""

import io

import nanoarrow as na
import numpy as np
import pyarrow as pa
import pytest

from livegrad.run.batch import END_OF_STREAM, BatchEncoder
from livegrad.run.columns import PULSE_COLUMNS, SCAN_COLUMNS, SCHEMA_VERSION


def values(step: int, entries: int) -> dict:
    """One value or one array for every pulse column, each different."""
    generator = np.random.default_rng(step)
    return {
        column.name: generator.integers(0, 1000, entries).astype(column.dtype)
        if column.per_tensor
        else step + number
        for number, column in enumerate(PULSE_COLUMNS)
    }


def stream_of(rows: list[tuple[dict, int]]) -> bytes:
    encoder = BatchEncoder(PULSE_COLUMNS, {"livegrad": "9.9"})
    messages = [encoder.schema_message()]
    messages += [encoder.batch_message(row, 1, entries) for row, entries in rows]
    return b"".join(messages) + END_OF_STREAM


def plain(row: dict) -> dict:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in row.items()}


def test_pyarrow_reads_back_every_value_of_rows_of_changing_length():
    rows = [(values(step, entries), entries) for step, entries in enumerate((3, 0, 3, 1000, 1, 3))]
    table = pa.ipc.open_stream(stream_of(rows)).read_all()
    assert table.to_pylist() == [plain(row) for row, _ in rows]
    table.validate(full=True)


def test_nanoarrow_reads_back_the_same():
    rows = [(values(step, 4), 4) for step in range(3)]
    found = na.Array(na.ArrayStream.from_readable(io.BytesIO(stream_of(rows)))).to_pylist()
    assert found == [plain(row) for row, _ in rows]


def test_the_schema_has_the_stated_types_and_the_version():
    schema = pa.ipc.open_stream(stream_of([])).schema
    assert schema.metadata == {b"livegrad.schema": str(SCHEMA_VERSION).encode(), b"livegrad": b"9.9"}
    types = {"int32": pa.int32(), "int64": pa.int64(), "float32": pa.float32(), "float64": pa.float64()}
    for column, field in zip(PULSE_COLUMNS, schema, strict=True):
        value = field.type.value_type if column.per_tensor else field.type
        assert (field.name, value, field.nullable) == (column.name, types[column.type], column.nullable)


def test_null_nan_and_a_number_stay_apart_in_any_order():
    losses = [1.0, None, float("nan"), 2.0, None, float("inf")]
    rows = [({**values(step, 2), "loss": loss}, 2) for step, loss in enumerate(losses)]
    column = pa.ipc.open_stream(stream_of(rows)).read_all()["loss"]
    assert column.is_null().to_pylist() == [False, True, False, False, True, False]
    assert np.isnan(column[2].as_py())
    assert column.to_pylist()[-1] == float("inf")


def test_one_batch_of_several_rows_without_lists():
    encoder = BatchEncoder(SCAN_COLUMNS)
    table = {column.name: np.arange(5).astype(column.dtype) for column in SCAN_COLUMNS} | {"step": 9}
    stream = encoder.schema_message() + encoder.batch_message(table, 5, 0)
    found = pa.ipc.open_stream(stream).read_all()
    assert found["step"].to_pylist() == [9] * 5
    assert found["audibility"].to_pylist() == [0, 1, 2, 3, 4]


def test_a_list_of_the_wrong_length_is_refused_and_the_next_row_is_whole():
    encoder = BatchEncoder(PULSE_COLUMNS)
    start = encoder.schema_message()
    with pytest.raises(ValueError, match=r"'weight_max' has shape \(2,\), this row needs \(3,\)"):
        encoder.batch_message({**values(0, 3), "weight_max": np.ones(2)}, 1, 3)
    row = values(1, 3)
    assert pa.ipc.open_stream(start + encoder.batch_message(row, 1, 3)).read_all().to_pylist() == [plain(row)]


def test_a_number_too_large_for_its_column_becomes_infinite_without_a_warning():
    encoder = BatchEncoder(PULSE_COLUMNS)
    start = encoder.schema_message()
    row = {**values(0, 1), "gradient_max": np.array([1e300])}
    found = pa.ipc.open_stream(start + encoder.batch_message(row, 1, 1)).read_all()
    assert found["gradient_max"].to_pylist() == [[float("inf")]]


def test_many_shapes_of_row_do_not_pile_up():
    encoder = BatchEncoder(PULSE_COLUMNS)
    start = encoder.schema_message()
    rows = [(values(n, n), n) for n in range(100)] + [(values(1, 1), 1)]
    messages = [encoder.batch_message(row, 1, n) for row, n in rows]
    assert len(encoder._templates) < 50
    assert pa.ipc.open_stream(start + b"".join(messages)).read_all().to_pylist() == [
        plain(row) for row, _ in rows
    ]


def test_what_an_interrupted_record_left_does_not_reach_the_next():
    encoder = BatchEncoder(PULSE_COLUMNS)
    start = encoder.schema_message()
    encoder._sink.write(b"half a record")
    row = values(1, 3)
    assert pa.ipc.open_stream(start + encoder.batch_message(row, 1, 3)).read_all().to_pylist() == [plain(row)]
