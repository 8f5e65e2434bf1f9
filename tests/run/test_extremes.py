"""Extremes over stretches of steps: nothing recorded is left out."""

from dataclasses import replace

import numpy as np
import pytest

from livegrad.run.reader import load
from livegrad.run.rows import PulseRow
from livegrad.run.writer import RunWriter


def pulse(step, tensors, norms, nonfinite=None):
    square = np.asarray(norms, dtype=np.float64) ** 2
    count = len(tensors)
    return PulseRow(
        step=step,
        seconds=0.0,
        tensor=np.asarray(tensors, np.int32),
        gradient_sum_squares_by_tensor=square,
        gradient_max=np.zeros(count, np.float32),
        gradient_zeros=np.zeros(count, np.int64),
        gradient_nonfinite=np.zeros(count, np.int64)
        if nonfinite is None
        else np.asarray(nonfinite, np.int64),
        weight_sum_squares=np.ones(count),
        weight_max=np.ones(count, np.float32),
        weight_nonfinite=np.zeros(count, np.int64),
        gradient_sum_squares=1.0,
        nonfinite=0,
    )


@pytest.fixture
def run(tmp_path):
    writer = RunWriter(tmp_path, {"subjects": [{"id": 0, "name": "model"}]})
    rng = np.random.default_rng(0)
    norms = rng.uniform(1, 2, size=(1000, 3))
    norms[437, 1], norms[803, 2], norms[300, 0] = 50.0, 1e-9, 0.0
    for step, row in enumerate(norms):
        broken = [0, 0, 7] if step == 610 else [-1, 0, 0] if step == 999 else None
        writer.pulse(pulse(step, [4, 7, 9], row, broken))
    writer.close(status="finished")
    return load(tmp_path), norms


def test_every_recorded_step_counts(run):
    loaded, norms = run
    found = loaded.extremes(limit=20)
    assert found.tensor.tolist() == [4, 7, 9]
    assert found.stride == 64 and found.steps.tolist() == list(range(0, 1000, 64)) and found.unread == 0
    assert found.high[437 // 64, 1] == pytest.approx(50.0)
    assert found.low[803 // 64, 2] == pytest.approx(1e-9)
    assert found.low[300 // 64, 0] == 0.0
    for stretch in (2, 5):
        part = norms[64 * stretch : 64 * (stretch + 1)]
        assert found.low[stretch] == pytest.approx(part.min(axis=0))
        assert found.high[stretch] == pytest.approx(part.max(axis=0))


def test_non_finite_entries_are_marked_and_no_gradient_is_none(run):
    loaded, norms = run
    found = loaded.extremes(limit=250)
    assert found.stride == 4
    assert np.argwhere(found.broken).tolist() == [[610 // 4, 2]]
    assert found.low[249, 0] == pytest.approx(norms[996:999, 0].min())


def test_a_run_read_bit_by_bit_while_it_grows_comes_to_the_same(tmp_path):
    writer = RunWriter(tmp_path, {})
    rng = np.random.default_rng(1)
    growing = load(tmp_path)
    for step in range(700):
        update = rng.uniform(size=3) if step % 7 == 0 else np.full(3, np.nan)
        row = pulse(step, [1, 2, 3], rng.uniform(size=3), [0, int(step == 333), 0])
        writer.pulse(replace(row, update_sum_squares=update))
        if step % 90 == 0:
            growing.refresh()
            growing.extremes(limit=10)
    growing.refresh()
    bits = growing.fork()
    while bits.extremes(limit=10, seconds=1e-4).unread:
        pass
    whole = load(tmp_path).extremes(limit=10)
    for other in (growing.extremes(limit=10), bits.extremes(limit=10)):
        for name, values in vars(whole).items():
            assert np.array_equal(getattr(other, name), values, equal_nan=True), name
    assert whole.turnover_low.min() >= 1.0 and np.isfinite(whole.turnover).all()


@pytest.mark.parametrize("at", [0, 1, 511, 512, 998, 999])
def test_what_one_step_did_is_seen_wherever_it_stands(tmp_path, at):
    writer = RunWriter(tmp_path, {})
    for step in range(1000):
        row = pulse(step, [0, 1], [1.0, 1e9 if step == at else 1.0])
        writer.pulse(replace(row, update_sum_squares=np.array([1e-6, 1e6 if step == at else 1e-6])))
    found = load(tmp_path).extremes(limit=16)
    assert found.high[at // found.stride].tolist() == [1.0, 1e9]
    assert found.turnover_low[at // found.stride].tolist() == pytest.approx([1e3, 1e-3])
    others = np.delete(found.turnover_low, at // found.stride, axis=0)
    assert others == pytest.approx(np.full(others.shape, 1e3))


def test_tensors_of_several_optimizers_keep_their_places(tmp_path):
    writer = RunWriter(tmp_path, {})
    for step in range(4):
        writer.pulse(pulse(step, [5], [step + 1.0]))
        writer.pulse(replace(pulse(step, [2, 8], [10.0 + step, 20.0]), optimizer=1))
    writer.close(status="finished")
    found = load(tmp_path).extremes(limit=2)
    assert found.tensor.tolist() == [2, 5, 8] and found.steps.tolist() == [0, 2]
    assert found.high.tolist() == [[11.0, 2.0, 20.0], [13.0, 4.0, 20.0]]
    assert found.low.tolist() == [[10.0, 1.0, 20.0], [12.0, 3.0, 20.0]]


def test_a_run_without_steps_has_no_stretches(tmp_path):
    RunWriter(tmp_path, {})
    found = load(tmp_path).extremes(limit=4)
    assert found.low.shape == (0, 0) and found.unread == 0
