"""Writing a run: refusals, full disks, short writes, forks; what was written before stays readable."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from livegrad.errors import UsageError
from livegrad.run.reader import load
from livegrad.run.schema import Note, Tensor
from livegrad.run.writer import RunWriter


def test_a_finished_stream_is_whole_arrow(tmp_path, pulse, scan, write):
    path = write(tmp_path / "run", [pulse(0), pulse(1)], [scan(0), scan(1)])
    assert pa.ipc.open_stream((path / "rank0.arrows").read_bytes()).read_all()["step"].to_pylist() == [0, 1]
    assert pa.ipc.open_stream((path / "rank0.scans.arrows").read_bytes()).read_all().num_rows == 6


def test_each_pulse_and_each_scan_is_one_write(tmp_path, pulse, scan, monkeypatch):
    writer = RunWriter(tmp_path, {})
    sizes = []
    write = os.write

    def counted(descriptor, data):
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    writer.pulse(pulse(0))
    writer.pulse(pulse(1, tensors=range(1000)))
    writer.scan(scan())
    assert len(sizes) == 3


def test_an_update_merges_and_leaves_the_rest(tmp_path):
    writer = RunWriter(tmp_path, {"mode": "script", "steps": 1})
    writer.update(steps=2, notes=[Note(text="a")], tensors=[Tensor(name="w")])
    info = load(tmp_path).info
    assert (info.mode, info.steps, info.notes[0].text, info.tensors[0].name) == ("script", 2, "a", "w")
    assert info.status == "running"
    assert info.created <= info.updated
    assert info.ended is None
    writer.close(status="failed", exit_code=1, error="ValueError: x")
    info = load(tmp_path).info
    assert (info.status, info.exit_code, info.error) == ("failed", 1, "ValueError: x")
    assert info.ended >= info.created


def test_a_field_that_run_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(TypeError, match="no field \\['stepz'\\]"):
        RunWriter(tmp_path, {}).update(stepz=1)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, pulse, write):
    path = write(tmp_path / "run", [pulse()])
    before = (path / "rank0.arrows").read_bytes()
    with pytest.raises(UsageError, match=r"already holds a run.*not overwritten.*another folder"):
        RunWriter(path, {})
    assert (path / "rank0.arrows").read_bytes() == before


def test_a_missing_folder_is_an_os_error_for_the_caller(tmp_path):
    with pytest.raises(FileNotFoundError):
        RunWriter(tmp_path / "nowhere", {})


def test_closing_twice_is_allowed_and_writing_after_is_not(tmp_path, pulse):
    writer = RunWriter(tmp_path, {})
    writer.close(status="finished")
    writer.close(status="finished")
    with pytest.raises(OSError, match="the run is closed"):
        writer.pulse(pulse())


def test_a_wrong_length_is_refused_and_leaves_no_trace(tmp_path, pulse):
    writer = RunWriter(tmp_path, {})
    writer.pulse(pulse(0))
    with pytest.raises(ValueError, match="weight_max"):
        writer.pulse(pulse(1, weight_max=np.ones(2)))
    writer.pulse(pulse(2))
    assert load(tmp_path).scalars()["step"].tolist() == [0, 2]


def test_a_short_write_is_continued(tmp_path, pulse, monkeypatch):
    writer = RunWriter(tmp_path, {})
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:700]))
    for step in range(4):
        writer.pulse(pulse(step))
    assert load(tmp_path).pulses().step.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_half_way_is_taken_back(tmp_path, pulse, monkeypatch, error):
    writer = RunWriter(tmp_path, {})
    writer.pulse(pulse(0))
    write = os.write
    calls = []

    def failing(descriptor, data):
        calls.append(len(data))
        if len(calls) == 2:
            raise error
        return write(descriptor, data[:500])

    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(type(error)):
        writer.pulse(pulse(1))
    monkeypatch.setattr(os, "write", write)
    assert load(tmp_path).pulses().step.tolist() == [0]
    writer.pulse(pulse(2))
    assert load(tmp_path).pulses().step.tolist() == [0, 2]


def test_nothing_follows_a_torn_record_that_cannot_be_taken_back(tmp_path, pulse, monkeypatch):
    writer = RunWriter(tmp_path, {})
    writer.pulse(pulse(0))
    write = os.write

    def refuse(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        patch.setattr(
            os,
            "write",
            lambda descriptor, data: write(descriptor, data[:500]) if len(data) > 2000 else refuse(),
        )
        with pytest.raises(OSError, match="Input/output"):
            writer.pulse(pulse(1))
    with pytest.raises(OSError, match="closed"):
        writer.pulse(pulse(2))
    writer.close(status="detached")
    run = load(tmp_path)
    assert run.pulses().step.tolist() == [0]
    assert "unfinished record" in run.damage


FULL_DISK = """
    import resource, sys
    from livegrad.run.writer import RunWriter
    sys.path.insert(0, {tests!r})
    from conftest import _pulse

    writer = RunWriter({path!r}, {{}})
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    done = 0
    try:
        while True:
            writer.pulse(_pulse(done))
            done += 1
    except OSError:
        pass
    try:
        writer.update(error="x" * 50_000)
    except OSError:
        writer.close(status="detached", error="disk full")
    print(done)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_when_the_disk_is_full_every_earlier_step_is_kept(tmp_path):
    code = textwrap.dedent(FULL_DISK).format(tests=str(Path(__file__).parent), path=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not done.stderr
    run = load(tmp_path)
    assert len(run) == int(done.stdout) > 2
    assert run.pulses().step.tolist() == list(range(len(run)))
    assert pa.ipc.open_stream((tmp_path / "rank0.arrows").read_bytes()).read_all().num_rows == len(run)
    assert (run.status, run.info.error) == ("detached", "disk full")


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_its_parents_run_alone(tmp_path, pulse):
    writer = RunWriter(tmp_path, {})
    writer.pulse(pulse(0))

    def child():
        try:
            writer.pulse(pulse(1))
        except OSError:
            writer.close(status="finished")
            os._exit(7)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 7
    writer.pulse(pulse(2))
    run = load(tmp_path)
    assert (run.status, run.scalars()["step"].tolist()) == ("running", [0, 2])


def test_a_script_that_changes_its_directory_keeps_its_run(tmp_path, pulse, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    writer = RunWriter(Path("run"), {})
    monkeypatch.chdir("elsewhere")
    writer.pulse(pulse())
    writer.close(status="finished")
    assert load(tmp_path / "run").status == "finished"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGALRM")
def test_a_signal_handler_may_close_the_run_in_the_middle_of_a_write(tmp_path, pulse, monkeypatch):
    writer = RunWriter(tmp_path, {})
    write = os.write
    before = signal.signal(signal.SIGALRM, lambda *_: writer.close(status="failed"))

    def interrupted(descriptor, data):
        monkeypatch.setattr(os, "write", write)
        written = write(descriptor, data)
        signal.raise_signal(signal.SIGALRM)
        return written

    try:
        monkeypatch.setattr(os, "write", interrupted)
        writer.pulse(pulse())
    finally:
        signal.signal(signal.SIGALRM, before)
    run = load(tmp_path)
    assert (run.status, run.damage) == ("failed", None)
    assert run.pulses().step.tolist() == [0]
