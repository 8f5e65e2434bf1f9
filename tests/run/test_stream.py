"""A stream cut, damaged or still growing: the reader has a prefix of whole rows and never more."""

import random

import numpy as np
import pytest

from livegrad.errors import RunError
from livegrad.run.batch import END_OF_STREAM, BatchEncoder
from livegrad.run.columns import PULSE_COLUMNS, SCHEMA_VERSION, VERSION_KEY
from livegrad.run.pulse_table import PulseTable
from livegrad.run.reader import load


@pytest.fixture
def whole(tmp_path, pulse, write):
    """A finished run of five rows whose lengths differ, and the bytes of its pulses."""
    rows = [pulse(step, tensors=range(1 + step % 3)) for step in range(5)]
    path = write(tmp_path / "run", rows)
    return path, (path / "rank0.arrows").read_bytes()


def steps_of(path) -> list[int]:
    table = PulseTable(path)
    table.extend()
    steps = table.scalars["step"].tolist()
    rows = table.rows(np.arange(len(table)))
    assert [row["tensor"].tolist() for row in rows] == [list(range(1 + step % 3)) for step in steps]
    return steps


@pytest.mark.parametrize("stride", [29, pytest.param(1, marks=pytest.mark.slow)])
def test_cut_anywhere_leaves_a_growing_prefix_of_whole_rows(whole, tmp_path, stride):
    _, content = whole
    target = tmp_path / "cut.arrows"
    counts = []
    dense = len(content) - 100  # around the end of the last record every byte is tried
    for size in [*range(0, dense, stride), *range(dense, len(content) + 1)]:
        target.write_bytes(content[:size])
        steps = steps_of(target)
        assert steps == list(range(len(steps)))
        counts.append(len(steps))
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3, 4, 5}
    assert counts[-1 - len(END_OF_STREAM) :] == [5] * (len(END_OF_STREAM) + 1)
    assert counts[-2 - len(END_OF_STREAM)] == 4


def test_a_run_whose_streams_are_cut_anywhere_still_opens(whole):
    path, content = whole
    for size in random.Random(0).sample(range(len(content)), 60):
        (path / "rank0.arrows").write_bytes(content[:size])
        run = load(path)
        pulses = run.pulses()
        assert pulses.step.tolist() == list(range(len(run)))
        assert len(run.scalars()["loss"]) == len(run)


def test_a_record_arriving_in_pieces_is_read_once_when_it_is_whole(whole, tmp_path):
    _, content = whole
    target = tmp_path / "growing.arrows"
    target.touch()
    table = PulseTable(target)
    seen = []
    with target.open("ab", buffering=0) as file:
        for start in range(0, len(content), 97):
            file.write(content[start : start + 97])
            table.extend()
            seen.append(len(table))
    assert seen == sorted(seen)
    assert table.scalars["step"].tolist() == [0, 1, 2, 3, 4]
    assert table.stream.finished


GARBAGE = {
    "empty": b"",
    "zeros": b"\0" * 5000,
    "text": b"step,loss\n1,2\n" * 50,
    "marker only": b"\xff" * 4,
    "markers": b"\xff" * 5000,
    "huge size": b"\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 100,
    "negative size": b"\xff\xff\xff\xff\x00\x00\x00\x80" + b"x" * 100,
    "schema of noise": b"\xff\xff\xff\xff\x40\x00\x00\x00" + bytes(range(64)),
    "ended at once": END_OF_STREAM,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_a_stream_of_garbage_is_a_run_without_rows(whole, content):
    path, _ = whole
    (path / "rank0.arrows").write_bytes(content)
    run = load(path)
    assert len(run) == 0
    assert run.pulses().gradient_norm.shape == (0, 0)


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"garbage", b"\xff\xff\xff\xff\x10\0\0\0" + b"\0" * 16])
def test_garbage_behind_good_rows_leaves_the_rows_and_is_named(whole, tail):
    path, content = whole
    (path / "rank0.arrows").write_bytes(content.removesuffix(END_OF_STREAM) + tail)
    run = load(path)
    assert run.scalars()["step"].tolist() == [0, 1, 2, 3, 4]
    assert "rank0.arrows" in run.damage


def test_an_unfinished_record_is_damage_only_once_nobody_writes(whole):
    path, content = whole
    assert load(path).damage is None
    (path / "rank0.arrows").write_bytes(content.removesuffix(END_OF_STREAM)[:-3])
    run = load(path)
    assert len(run) == 4
    assert "unfinished record" in run.damage


def test_any_changed_byte_is_survived(whole):
    path, content = whole
    generator = random.Random(1)
    for _ in range(200):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] = generator.randrange(256)
        (path / "rank0.arrows").write_bytes(damaged)
        try:
            run = load(path)
            run.pulses()
        except RunError as error:
            assert "schema" in str(error)
        else:
            assert len(run) <= 5


def test_a_newer_stream_is_refused_with_what_to_do(tmp_path, whole):
    path, content = whole
    newer = content.replace(
        b"\x01\x00\x00\x00" + str(SCHEMA_VERSION).encode() + b"\0", b"\x01\x00\x00\x00" + b"7\0", 1
    )
    assert newer != content
    (path / "rank0.arrows").write_bytes(newer)
    with pytest.raises(RunError, match=r"schema 7.*up to schema 1.*pip install --upgrade livegrad"):
        load(path)


def test_an_arrow_stream_that_livegrad_did_not_write_has_no_rows_and_says_so(whole):
    import pyarrow as pa

    path, _ = whole
    table = pa.table({"step": [1, 2], "loss": [0.1, 0.2]})
    with pa.ipc.new_stream(str(path / "rank0.arrows"), table.schema) as writer:
        writer.write_table(table)
    run = load(path)
    assert len(run) == 0
    assert "not one that livegrad wrote" in run.damage


def test_rows_rewritten_in_one_or_in_compressed_batches_are_named_not_misread(whole):
    import pyarrow as pa

    path, content = whole
    table = pa.ipc.open_stream(content).read_all()
    for options, words in (({}, "batch of several rows"), ({"compression": "zstd"}, "compressed")):
        with pa.ipc.new_stream(
            str(path / "rank0.arrows"), table.schema, options=pa.ipc.IpcWriteOptions(**options)
        ) as writer:
            writer.write_table(table.combine_chunks() if not options else table.slice(0, 1))
        run = load(path)
        assert len(run) == 0
        assert words in run.damage


def test_a_column_of_another_type_is_refused_rather_than_misread(whole):
    import pyarrow as pa

    path, _ = whole
    table = pa.table({"step": pa.array([1.5])}, metadata={VERSION_KEY: "1"})
    with pa.ipc.new_stream(str(path / "rank0.arrows"), table.schema) as writer:
        writer.write_table(table)
    assert "'step' is not of the type" in load(path).damage


def test_a_stream_without_ids_is_refused(whole):
    import pyarrow as pa

    path, content = whole
    table = pa.ipc.open_stream(content).read_all().drop_columns(["tensor"])
    with pa.ipc.new_stream(str(path / "rank0.arrows"), table.schema) as writer:
        writer.write_table(table)
    assert "column 'tensor' is missing" in load(path).damage


def test_columns_of_an_older_or_newer_writer_are_left_out_or_ignored(whole):
    import pyarrow as pa

    path, content = whole
    table = pa.ipc.open_stream(content).read_all().drop_columns(["loss", "weight_max"])
    table = table.append_column("novelty", pa.array([1.0] * 5))
    with pa.ipc.new_stream(str(path / "rank0.arrows"), table.schema) as writer:
        for row in range(5):
            writer.write_batch(table.slice(row, 1).combine_chunks().to_batches()[0])
    run = load(path)
    assert not run.scalars()["loss_known"].any()
    pulses = run.pulses()
    assert pulses.step.tolist() == [0, 1, 2, 3, 4]
    assert pulses.weight_norm[4].tolist()[:2] == [2.0, 2.0]


def test_the_version_in_the_schema_is_the_one_readers_check():
    assert VERSION_KEY.encode() in BatchEncoder(PULSE_COLUMNS).schema_message()
