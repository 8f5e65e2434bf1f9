"""The streams are plain Arrow: each tool reads them as they lie, as docs/run-folder.md shows."""

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest

from livegrad.run.columns import PULSE_COLUMNS, SCAN_COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "run-folder.md"


@pytest.fixture
def folder(tmp_path, pulse, scan, write, monkeypatch):
    """A run in the current directory, under the name that the page's examples use."""
    monkeypatch.chdir(tmp_path)
    rows = [pulse(step, loss=None if step == 2 else 1.0 / (step + 1)) for step in range(4)]
    return write(tmp_path / "RUN", rows, [scan(0), scan(3)])


def test_pyarrow(folder):
    pa = pytest.importorskip("pyarrow")
    table = pa.ipc.open_stream(folder / "rank0.arrows").read_all()
    assert table["loss"].to_pylist() == [1.0, 0.5, None, 0.25]
    assert table["tensor"].to_pylist() == [[0, 1, 2]] * 4


def test_pandas(folder):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    frame = pa.ipc.open_stream(folder / "rank0.arrows").read_pandas()
    assert frame["step"].tolist() == [0, 1, 2, 3]
    assert frame["gradient_max"].map(len).tolist() == [3] * 4


def test_polars(folder):
    polars = pytest.importorskip("polars")
    frame = polars.read_ipc_stream(folder / "rank0.arrows")
    long = frame.explode("tensor", "gradient_sum_squares_by_tensor")
    assert len(long) == 12
    assert long.filter(polars.col("tensor") == 2)["gradient_sum_squares_by_tensor"].to_list() == [3, 6, 9, 12]


def test_duckdb(folder):
    pa = pytest.importorskip("pyarrow")
    duckdb = pytest.importorskip("duckdb")
    pulses = pa.ipc.open_stream(folder / "rank0.arrows").read_all()  # noqa: F841  (DuckDB finds it by its name)
    found = duckdb.sql("select max(step), count(loss), sum(len(tensor)) from pulses").fetchall()
    assert found == [(3, 3, 12)]


def test_nanoarrow(folder):
    import nanoarrow as na

    with na.ArrayStream.from_path(folder / "rank0.scans.arrows") as stream:
        rows = na.Array(stream).to_pylist()
    assert [row["step"] for row in rows] == [0, 0, 0, 3, 3, 3]
    np.testing.assert_allclose([row["audibility"] for row in rows[:3]], [0.1, 0.55, 1.0])


def test_a_run_that_was_killed_is_read_batch_by_batch(folder):
    pa = pytest.importorskip("pyarrow")
    stream = folder / "rank0.arrows"
    stream.write_bytes(stream.read_bytes()[:-100])
    reader, rows = pa.ipc.open_stream(stream), []
    with contextlib.suppress(OSError, pa.ArrowInvalid, StopIteration):
        while True:
            rows += reader.read_next_batch()["step"].to_pylist()
    assert rows == [0, 1, 2]


def test_the_page_describes_every_column_with_its_type():
    text = PAGE.read_text("utf-8")
    for column in (*PULSE_COLUMNS, *SCAN_COLUMNS):
        kind = f"list<{column.type}>" if column.per_tensor else column.type
        assert re.search(rf"\| `{column.name}` \| {re.escape(kind)} \|", text), column.name


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("code", examples(), ids=lambda code: code.split("\n", 1)[0])
def test_the_examples_of_the_page_run(folder, code):
    for module in ("pyarrow", "pandas", "polars", "duckdb"):
        if module in code:
            pytest.importorskip(module)
    exec(compile(code, str(PAGE), "exec"), {})
