"""What a Run gives: stored sums as norms, NaN where nothing is known, and clear refusals."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from livegrad.errors import RunError, UsageError
from livegrad.run.pulses import TENSOR_STATISTICS
from livegrad.run.reader import load
from livegrad.run.schema import Subject, Tensor
from livegrad.run.writer import RunWriter

NAN, INF = math.nan, math.inf


def test_norms_are_roots_of_the_stored_sums(tmp_path, pulse, write):
    row = pulse(
        gradient_zeros=np.array([1, 0, 2]),
        update_sum_squares=np.array([0.04, NAN, 0.0]),
        update_swallowed=np.array([0.5, 0.0, NAN], np.float32),
    )
    pulses = load(write(tmp_path / "run", [row])).pulses()
    assert pulses.tensor.tolist() == [0, 1, 2]
    np.testing.assert_allclose(pulses.gradient_norm, np.sqrt([[1, 2, 3]]))
    np.testing.assert_allclose(pulses.gradient_rms, np.sqrt([[1 / 4, 2 / 4, 3 / 4]]))
    np.testing.assert_allclose(pulses.weight_norm, [[2, 2, 2]])
    np.testing.assert_allclose(pulses.weight_rms, [[1, 1, 1]])
    np.testing.assert_allclose(pulses.gradient_zeros_share, [[0.25, 0, 0.5]])
    np.testing.assert_allclose(pulses.update_norm, [[0.2, NAN, 0]])
    np.testing.assert_allclose(pulses.turnover, [[10, NAN, INF]])
    np.testing.assert_allclose(pulses.swallowed, [[0.5, 0, NAN]])
    assert np.isnan(pulses.eps_dominated).all()
    assert pulses.has_gradient.all()


def test_a_tensor_without_gradient_is_not_one_with_a_zero_gradient(tmp_path, pulse, write):
    row = pulse(
        gradient_sum_squares_by_tensor=np.array([0.0, 0.0, 1.0]),
        gradient_nonfinite=np.array([-1, 0, 0]),
    )
    pulses = load(write(tmp_path / "run", [row])).pulses()
    assert pulses.has_gradient.tolist() == [[False, True, True]]
    assert pulses.recorded.all()
    np.testing.assert_array_equal(pulses.gradient_norm, [[NAN, 0, 1]])
    np.testing.assert_array_equal(pulses.gradient_rms, [[NAN, 0, 0.5]])
    assert pulses.weight_norm[0, 0] == 2


def test_non_finite_sums_are_data(tmp_path, pulse, write):
    row = pulse(
        loss=INF,
        gradient_sum_squares=NAN,
        gradient_sum_squares_by_tensor=np.array([NAN, INF, 1.0]),
        gradient_nonfinite=np.array([2, 1, 0]),
        nonfinite=3,
    )
    run = load(write(tmp_path / "run", [row]))
    pulses = run.pulses()
    np.testing.assert_array_equal(pulses.gradient_norm, [[NAN, INF, 1]])
    assert pulses.gradient_nonfinite.tolist() == [[2, 1, 0]]
    assert pulses.has_gradient.all()
    scalars = run.scalars()
    assert scalars["loss"].tolist() == [INF]
    assert scalars["nonfinite"].tolist() == [3]
    assert np.isnan(scalars["gradient_norm"]).all()


def test_an_unknown_loss_is_told_from_a_nan_loss(tmp_path, pulse, write):
    rows = [pulse(0, loss=None), pulse(1, loss=NAN), pulse(2, loss=0.5)]
    scalars = load(write(tmp_path / "run", rows)).scalars()
    np.testing.assert_array_equal(scalars["loss"], [NAN, NAN, 0.5])
    assert scalars["loss_known"].tolist() == [False, True, True]


def test_tensors_added_later_widen_the_table(tmp_path, pulse, write):
    rows = [pulse(0, tensors=[0, 1]), pulse(1, tensors=[0, 1, 2]), pulse(2, tensors=[2])]
    pulses = load(write(tmp_path / "run", rows)).pulses()
    assert pulses.tensor.tolist() == [0, 1, 2]
    assert pulses.recorded.astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 1]]
    assert np.isnan(pulses.weight_norm[~pulses.recorded]).all()
    assert (pulses.gradient_nonfinite[~pulses.recorded] == -1).all()
    assert (pulses.has_gradient == pulses.recorded).all()


def test_the_order_of_ids_in_a_row_does_not_matter(tmp_path, pulse, write):
    rows = [pulse(0, tensors=[2, 0, 1])]
    pulses = load(write(tmp_path / "run", rows)).pulses()
    assert pulses.tensor.tolist() == [0, 1, 2]
    np.testing.assert_allclose(pulses.gradient_norm, np.sqrt([[2, 3, 1]]))


def test_a_tensor_that_run_json_does_not_know_yet_has_norms_but_no_rms(tmp_path, pulse, write):
    pulses = load(write(tmp_path / "run", [pulse(tensors=[9])])).pulses()
    assert pulses.tensor.tolist() == [9]
    assert pulses.gradient_norm.tolist() == [[1.0]]
    assert np.isnan(pulses.gradient_rms).all()


def test_two_subjects_and_two_optimizers_in_one_file(tmp_path, pulse, write):
    tensors = [Tensor(id=i, subject=i // 2, name=f"w{i % 2}", count=1) for i in range(4)]
    rows = [
        pulse(0, subject=0, optimizer=0, tensors=[0]),
        pulse(0, subject=1, tensors=[2, 3]),
        pulse(0, subject=0, optimizer=1, tensors=[1]),
        pulse(1, subject=1, tensors=[2, 3]),
    ]
    run = load(write(tmp_path / "run", rows, tensors=tensors, subjects=[Subject(id=0), Subject(id=1)]))
    first, second = run.pulses(subject=0), run.pulses(subject=1)
    assert first.optimizer.tolist() == [0, 1]
    assert first.tensor.tolist() == [0, 1]
    assert first.recorded.tolist() == [[True, False], [False, True]]
    assert second.tensor.tolist() == [2, 3]
    assert second.step.tolist() == [0, 1]
    assert run.scalars(subject=1)["step"].tolist() == [0, 1]
    assert run.pulses().subject.tolist() == [0, 1, 0, 1]
    assert run.pulses(subject=7).gradient_norm.shape == (0, 0)
    with pytest.raises(UsageError, match=r"2 tensors are named 'w0'.*subject=.*\[0, 2\]"):
        run.series("w0", "weight_norm")
    assert run.series("w0", "weight_norm", subject=1)[0].tolist() == [0, 1]
    assert run.series(2, "weight_norm")[1].tolist() == [2, 2]


@pytest.mark.parametrize("statistic", TENSOR_STATISTICS)
def test_a_series_is_its_column_of_the_pulses(tmp_path, pulse, write, statistic):
    rows = [
        pulse(step, tensors=[0, 2] if step % 3 else [2, 1], update_sum_squares=np.ones(2))
        for step in range(9)
    ]
    run = load(write(tmp_path / "run", rows))
    for place, tensor in enumerate(run.tensors):
        steps, values = run.series(tensor.name, statistic)
        pulses = run.pulses(limit=None)
        has = pulses.recorded[:, place]
        assert steps.tolist() == pulses.step[has].tolist()
        np.testing.assert_array_equal(values, getattr(pulses, statistic)[has, place])


def test_series_of_a_tensor_never_recorded_is_empty(tmp_path, pulse, write):
    for rows in ([], [pulse(tensors=[0])]):
        steps, values = load(write(tmp_path / f"run{len(rows)}", rows)).series("layers.2.weight", "turnover")
        assert steps.shape == values.shape == (0,)


def test_series_says_what_it_does_not_know(tmp_path, pulse, write):
    run = load(write(tmp_path / "run", [pulse()]))
    with pytest.raises(UsageError, match=r"no tensor 'layers\.1\.wieght'.*did you mean 'layers\.1\.weight'"):
        run.series("layers.1.wieght", "gradient_norm")
    with pytest.raises(UsageError, match=r"unknown statistic 'gradient'; choose from gradient_rms"):
        run.series("layers.1.weight", "gradient")


def test_scans_come_back_by_subject_and_in_order(tmp_path, scan, write):
    scans = [scan(0), scan(0, subject=1, layers=2), scan(5, dead=np.array([NAN, 0.5, 0]))]
    run = load(write(tmp_path / "run", scans=scans))
    assert [(s.step, s.subject, len(s)) for s in run.scans()] == [(0, 0, 3), (0, 1, 2), (5, 0, 3)]
    last = run.scans(subject=0)[-1]
    assert last.layer.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(last.dead, [NAN, 0.5, 0])
    assert last.width.tolist() == [7, 7, 7]
    np.testing.assert_array_equal(last.audibility, scans[0].audibility)


def test_following_a_live_run(tmp_path, pulse, scan):
    path = tmp_path / "run"
    path.mkdir()
    writer = RunWriter(path, {})
    run = load(path)
    assert run.is_live
    assert len(run) == 0
    assert not run.refresh()
    writer.pulse(pulse(0))
    writer.scan(scan(0))
    assert run.refresh()
    assert not run.refresh()
    assert (len(run), len(run.scans()), run.tensors) == (1, 1, ())
    writer.update(tensors=[Tensor(id=0, name="w", count=1)], steps=7)
    assert run.refresh()
    assert (run.info.steps, run.tensors[0].name) == (7, "w")
    for step in range(1, 4):
        writer.pulse(pulse(step))
    writer.close(status="finished")
    assert run.refresh()
    assert run.scalars()["step"].tolist() == [0, 1, 2, 3]
    assert run.pulses().step.tolist() == [0, 1, 2, 3]
    assert (run.status, run.is_live) == ("finished", False)


def test_another_run_in_the_same_place_is_read_from_its_start(tmp_path, pulse, write):
    path = write(tmp_path / "run", [pulse(0), pulse(1)])
    run = load(path)
    for item in path.iterdir():
        item.unlink()
    write(path, [pulse(7)], created="2030-01-01T00:00:00+00:00")
    assert run.refresh()
    assert run.scalars()["step"].tolist() == [7]


def test_a_run_whose_process_is_gone_is_not_live(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    RunWriter(tmp_path, {"pid": child.pid})
    run = load(tmp_path)
    assert (run.status, run.is_live) == ("running", False)


def test_a_run_on_another_machine_is_live_while_it_writes(tmp_path, pulse):
    RunWriter(tmp_path, {"host": "elsewhere"}).pulse(pulse())
    assert load(tmp_path).is_live
    for item in tmp_path.iterdir():
        os.utime(item, (1e9, 1e9))
    assert not load(tmp_path).is_live


def test_ranks_are_separate_and_share_the_description(tmp_path, pulse):
    for rank in (0, 1, 10):
        info = {"tensors": [Tensor(id=0, name="w", count=1)], "world_size": 11} if rank == 0 else {}
        writer = RunWriter(tmp_path, info, rank=rank)
        for step in range(rank + 1):
            writer.pulse(pulse(step, tensors=[0]))
        writer.close(status="finished")
    run = load(tmp_path)
    assert (run.ranks, len(run)) == ((0, 1, 10), 1)
    other = load(tmp_path, rank=10)
    assert (len(other), other.info.rank, other.info.world_size) == (11, 10, 11)
    assert other.series("w", "weight_norm")[1].tolist() == [2.0] * 11
    with pytest.raises(RunError, match=r"has no rank 3. Pass one of \[0, 1, 10\]"):
        load(tmp_path, rank=3)


def test_a_folder_with_only_another_rank_opens_by_that_rank(tmp_path, pulse):
    RunWriter(tmp_path, {}, rank=2).pulse(pulse())
    with pytest.raises(RunError, match=r"no run\.json, only ranks \[2\]"):
        load(tmp_path)
    assert len(load(tmp_path, rank=2)) == 1


def test_overhead_is_a_share_of_the_wall_time(tmp_path, write):
    assert load(write(tmp_path / "a", seconds=200.0, overhead_seconds=1.0)).overhead == 0.005
    assert math.isnan(load(write(tmp_path / "b")).overhead)


def test_a_file_in_the_folder_means_the_folder(tmp_path, pulse, write):
    path = write(tmp_path / "run", [pulse()])
    assert len(load(path / "run.json")) == len(load(str(path / "rank0.arrows"))) == 1


def test_a_run_without_streams_is_a_run_without_steps(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    run = load(tmp_path)
    assert (len(run), run.scans(), run.ranks) == (0, [], (0,))
    assert run.scalars()["step"].tolist() == []
    assert run.pulses().turnover.shape == (0, 0)
    assert not run.refresh()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not whole JSON.*wait and try again"),
        ('{"schema": 1, "tens', "not whole JSON.*wait and try again"),
        ("\x00" * 100, "not whole JSON"),
        ("[1, 2]", "no JSON object"),
        ("[" * 100_000, "not whole JSON"),
        ('{"schema": 2}', "schema 2.*up to schema 1.*pip install --upgrade livegrad"),
    ],
)
def test_an_unreadable_run_json_says_what_to_do(tmp_path, content, message):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=message):
        load(tmp_path)


def test_a_path_that_is_no_run_says_what_to_do(tmp_path, write):
    with pytest.raises(RunError, match=r"no such run: .*nowhere.*livegrad-runs"):
        load(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"holds no run\.json"):
        load(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(RunError, match=r"notes\.txt.* is not a run: pass the folder"):
        load(tmp_path / "notes.txt")
    write(tmp_path / "20260101-000000-train")
    with pytest.raises(RunError, match=r"holds 1\. The newest: .*20260101-000000-train"):
        load(tmp_path)
    with pytest.raises(RunError, match=r"cannot open|no such run"):
        load("x" * 5000)
    with pytest.raises(RunError, match=r"cannot open|no such run"):
        load("nul\x00byte")


def test_a_folder_that_goes_away_is_a_clear_error(tmp_path, pulse, write):
    path = write(tmp_path / "run", [pulse()])
    run = load(path)
    for item in path.iterdir():
        item.unlink()
    with pytest.raises(RunError, match="Was the run folder moved"):
        run.refresh()
    with pytest.raises(RunError, match="cannot read"):
        run.pulses()


def test_a_stream_that_became_shorter_is_a_clear_error(tmp_path, pulse, write):
    path = write(tmp_path / "run", [pulse(0), pulse(1)])
    run = load(path)
    os.truncate(path / "rank0.arrows", 100)
    with pytest.raises(RunError, match=r"rank0\.arrows"):
        run.pulses()


def test_run_json_stays_readable_by_any_strict_parser(tmp_path, write):
    path = write(tmp_path / "run", budget=NAN, command=["\ud800", "<b>"])
    document = json.loads((path / "run.json").read_text("ascii"), parse_constant=pytest.fail)
    assert document["budget"] == "NaN"
    assert load(path).info.command == ("\ud800", "<b>")


def test_reading_never_imports_torch_or_a_view():
    code = (
        "import sys, livegrad.run.reader, livegrad.run.writer;"
        "print({'torch', 'plotly', 'rich', 'click', 'pyarrow', 'livegrad.diagnose'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_scans_of_an_older_writer_have_nan_where_it_had_no_column(tmp_path, scan, write):
    path = write(tmp_path / "run", scans=[scan(0), scan(4, layers=2)])
    stream = path / "rank0.scans.arrows"
    batches = [batch.drop_columns(["residual"]) for batch in pa.ipc.open_stream(stream.read_bytes())]
    with pa.ipc.new_stream(str(stream), batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    scans = load(path).scans()
    assert [np.isnan(found.residual).tolist() for found in scans] == [[True] * 3, [True] * 2]
    assert scans[1].audibility.tolist() == [0.1, 1.0]
