"""SIGKILL at any moment: every step whose write returned is there, whole."""

import os
import random
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from livegrad.run.reader import load

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")

# The child acknowledges each step through a pipe once its write has returned.
CHILD = """
import os, sys
import numpy as np
from livegrad.run.rows import PulseRow
from livegrad.run.writer import RunWriter

path, count = sys.argv[1], int(sys.argv[2])
writer = RunWriter(path, {})
ids = np.arange(count, dtype=np.int32)
step = 0
while True:
    floats, counts = np.full(count, float(step)), np.full(count, step)
    writer.pulse(PulseRow(
        step=step, seconds=0.0, tensor=ids, gradient_sum_squares=float(step), nonfinite=0,
        gradient_sum_squares_by_tensor=floats, gradient_max=floats, gradient_zeros=counts,
        gradient_nonfinite=counts, weight_sum_squares=floats, weight_max=floats, weight_nonfinite=counts,
    ))
    if step % 50 == 0:
        writer.update(steps=step)
    os.write(1, step.to_bytes(8, "little"))
    step += 1
"""


def run_and_kill(path, count: int, delay: float) -> int:
    """Steps the child acknowledged before it was killed, `delay` seconds after its first."""
    path.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(count)], stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdout is not None
    acknowledged = child.stdout.read(8)
    deadline = time.monotonic() + delay
    while (left := deadline - time.monotonic()) > 0:
        if select.select([child.stdout], [], [], left)[0]:
            acknowledged += os.read(child.stdout.fileno(), 1 << 16)
    child.send_signal(signal.SIGKILL)
    child.wait()
    while rest := os.read(child.stdout.fileno(), 1 << 16):
        acknowledged += rest
    child.stdout.close()
    return len(acknowledged) // 8


@pytest.mark.parametrize("kill", range(20))
def test_every_acknowledged_step_survives(tmp_path, kill):
    generator = random.Random(kill)
    count = generator.choice([3, 200, 30_000])
    acknowledged = run_and_kill(tmp_path / "run", count, generator.uniform(0, 0.12))
    run = load(tmp_path / "run")
    steps = run.scalars()["step"]
    assert steps.tolist() == list(range(len(steps)))
    assert acknowledged <= len(run) <= acknowledged + 1
    assert not run.is_live
    pulses = run.pulses(limit=20)
    assert pulses.weight_nonfinite.shape[1] == count
    assert (pulses.weight_nonfinite == pulses.step[:, None]).all()
    np.testing.assert_allclose(
        pulses.weight_norm, np.broadcast_to(np.sqrt(pulses.step)[:, None], (len(pulses), count))
    )
