"""The pace of the weights over a long run: what one step did to one matrix is not thinned away."""

import numpy as np
import pytest

from livegrad.run.reader import load
from livegrad.run.rows import PulseRow
from livegrad.run.writer import RunWriter
from livegrad.view.progress import Progress

STEPS, MATRICES, JUMP = 1500, 40, 937


def pulse(step: int) -> PulseRow:
    moved = np.full(MATRICES, 1e-6)
    if step == JUMP:
        moved[7] = 4.0
    return PulseRow(
        step=step, seconds=0.0, tensor=np.arange(MATRICES, dtype=np.int32),
        gradient_sum_squares_by_tensor=np.ones(MATRICES), gradient_max=np.ones(MATRICES, np.float32),
        gradient_zeros=np.zeros(MATRICES, np.int64), gradient_nonfinite=np.zeros(MATRICES, np.int64),
        weight_sum_squares=np.ones(MATRICES), weight_max=np.ones(MATRICES, np.float32),
        weight_nonfinite=np.zeros(MATRICES, np.int64), gradient_sum_squares=1.0, nonfinite=0,
        update_sum_squares=moved,
    )  # fmt: skip


def test_the_largest_update_of_a_long_run_is_in_the_figure(tmp_path):
    tensors = [{"id": i, "subject": 0, "name": f"w{i}", "shape": [4, 4]} for i in range(MATRICES)]
    writer = RunWriter(tmp_path, {"subjects": [{"id": 0, "name": "model"}], "tensors": tensors})
    for step in range(STEPS):
        writer.pulse(pulse(step))
    writer.close(status="finished")
    progress = Progress.of(load(tmp_path), 0)
    low, middle, high, largest = progress.update_ratio
    assert len(progress.update_steps) < STEPS / 2, "the run is long enough to be thinned"
    at = int(np.argmax(largest))
    assert largest[at] == pytest.approx(2.0)
    assert progress.update_steps[at] <= JUMP and (progress.update_steps[at + 1 :] > JUMP).all()
    others = np.delete(largest, at)
    assert others == pytest.approx(np.full(len(others), 1e-3))
    for usual in (low, middle, high):  # one of forty matrices is beyond the 95th percentile
        assert usual == pytest.approx(np.full(len(usual), 1e-3))
