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
    found = loaded.gradient_extremes(np.arange(0, 1000, 100))
    assert found.tensor.tolist() == [4, 7, 9]
    assert found.high[4, 1] == pytest.approx(50.0)
    assert found.low[8, 2] == pytest.approx(1e-9)
    assert found.low[3, 0] == 0.0
    stretch = norms[200:300]
    assert found.low[2] == pytest.approx(stretch.min(axis=0))
    assert found.high[2] == pytest.approx(stretch.max(axis=0))


def test_non_finite_entries_are_marked_and_no_gradient_is_none(run):
    loaded, norms = run
    found = loaded.gradient_extremes(np.arange(0, 1000, 10))
    assert np.argwhere(found.broken).tolist() == [[61, 2]]
    assert found.low[99, 0] == pytest.approx(norms[990:999, 0].min())


def test_tensors_of_several_optimizers_keep_their_places(tmp_path):
    writer = RunWriter(tmp_path, {})
    for step in range(4):
        writer.pulse(pulse(step, [5], [step + 1.0]))
        writer.pulse(replace(pulse(step, [2, 8], [10.0 + step, 20.0]), optimizer=1))
    writer.close(status="finished")
    found = load(tmp_path).gradient_extremes(np.array([0, 2]))
    assert found.tensor.tolist() == [2, 5, 8]
    assert found.high.tolist() == [[11.0, 2.0, 20.0], [13.0, 4.0, 20.0]]
    assert found.low.tolist() == [[10.0, 1.0, 20.0], [12.0, 3.0, 20.0]]
