"""What a run folder costs: bytes and microseconds per recorded step, seconds to open it and to read from it.

    python benchmarks/run_folder.py                     1,000 tensors x 5,000 steps, some 350 MB
    python benchmarks/run_folder.py --full              1,000 tensors x 100,000 steps, some 7 GB
    python benchmarks/run_folder.py --tensors 20 --steps 100000

The folder is made under --directory (default: the system's temporary directory) and removed afterwards.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.reader import load
from livegrad.run.schema import PulseRow, Tensor
from livegrad.run.writer import RunWriter, create_run_folder


def make_row(step: int, tensors: int, noise: np.ndarray, sampled: bool) -> PulseRow:
    """A row whose numbers differ from step to step; `noise` has shape (tensors,)."""
    squares = noise * (1.0 + step % 97)
    counts = np.zeros(tensors, np.int64)
    return PulseRow(
        step=step,
        seconds=step * 0.01,
        loss=1.0 / (1 + step),
        learning_rate=1e-3,
        tensor=np.arange(tensors, dtype=np.int32),
        gradient_sum_squares=float(squares.sum()),
        nonfinite=0,
        gradient_sum_squares_by_tensor=squares,
        gradient_max=squares.astype(np.float32),
        gradient_zeros=counts,
        gradient_nonfinite=counts,
        weight_sum_squares=noise,
        weight_max=noise.astype(np.float32),
        weight_nonfinite=counts,
        update_sum_squares=noise * 1e-6 if sampled else None,
    )


def write(path: Path, tensors: int, steps: int) -> list[float]:
    """Microseconds of each RunWriter.pulse."""
    table = [Tensor(id=i, name=f"layers.{i}.weight", count=1000) for i in range(tensors)]
    writer = RunWriter(path, {"tensors": table, "mode": "benchmark"})
    noise = np.random.default_rng(0).random(tensors)
    cost = []
    for step in range(steps):
        row = make_row(step, tensors, noise, sampled=step % 20 == 0)
        start = time.perf_counter()
        writer.pulse(row)
        cost.append((time.perf_counter() - start) * 1e6)
    writer.close(status="finished", steps=steps)
    return cost


def timed(label: str, action: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = action()
    print(f"{label:<42}{time.perf_counter() - start:9.2f} s")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tensors", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--full", action="store_true", help="100,000 steps")
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    steps = 100_000 if options.full else options.steps
    base = Path(tempfile.mkdtemp(prefix="livegrad-benchmark-", dir=options.directory))
    try:
        measure(create_run_folder(base, "benchmark"), options.tensors, steps)
    finally:
        shutil.rmtree(base)


def measure(path: Path, tensors: int, steps: int) -> None:
    cost = write(path, tensors, steps)
    size = (path / "rank0.arrows").stat().st_size
    print(f"{tensors:,} tensors x {steps:,} steps: {size / 1e9:.2f} GB, {size / steps:,.0f} bytes a step")
    print(
        f"{'write, median / mean / largest':<42}{statistics.median(cost):9.0f} µs"
        f" / {statistics.fmean(cost):.0f} / {max(cost):.0f}"
    )
    read(path, tensors)
    if hasattr(os, "posix_fadvise"):
        forget(path / "rank0.arrows")
        print("the same, nothing in memory:")
        read(path, tensors)


def read(path: Path, tensors: int) -> None:
    middle = tensors // 2
    run = timed("open", lambda: load(path))
    timed("refresh, nothing new", run.refresh)
    timed("scalars()", run.scalars)
    timed("series of one tensor, gradient_rms", lambda: run.series(middle, "gradient_rms"))
    timed("series of one more, turnover", lambda: run.series(middle - 1, "turnover"))
    pulses = timed("pulses(limit=2000)", lambda: run.pulses(limit=2000))
    timed("pulses(limit=2000) again", lambda: run.pulses(limit=2000))
    print(f"{'rows kept':<42}{len(pulses):9d}")


def forget(path: Path) -> None:
    """Put the file on disk and drop it from the system's memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
