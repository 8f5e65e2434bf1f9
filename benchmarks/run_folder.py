"""What a run folder costs: bytes and microseconds per recorded step, seconds to open it, to read from it and
to report on it.

    python benchmarks/run_folder.py                     1,000 tensors x 5,000 steps, some 350 MB
    python benchmarks/run_folder.py --full              1,000 tensors x 100,000 steps, some 7 GB
    python benchmarks/run_folder.py --tensors 20 --steps 100000

The folder is made under --directory (default: the system's temporary directory) and removed afterwards.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from livegrad.run.columns import SCAN_COLUMNS
from livegrad.run.reader import load
from livegrad.run.rows import PulseRow, ScanRow
from livegrad.run.schema import Layer, Subject, Tensor
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


def make_scan(step: int, layers: int) -> ScanRow:
    """A scan of a healthy net of as many layers."""
    known = {"audibility": 0.5, "audibility_output": 0.5, "transport": 0.0, "gradient_rms": 1e-3}
    known |= {"activation_rms": 0.7, "width": 100, "samples": 64, "null_sd": 0.1, "nonfinite": 0}
    columns = {
        column.name: np.full(layers, known.get(column.name, column.missing), column.dtype)
        for column in SCAN_COLUMNS
        if column.name not in ("step", "subject", "layer")
    }
    return ScanRow(step=step, subject=0, layer=np.arange(layers, dtype=np.int32), **columns)


def write(path: Path, tensors: int, steps: int) -> list[float]:
    """Microseconds of each RunWriter.pulse."""
    shape = (100, 10)
    table = [
        Tensor(id=i, name=f"layers.{i}.weight", module=f"layers.{i}", shape=shape, count=1000, optimizer=0)
        for i in range(tensors)
    ]
    layers = [
        Layer(id=i, name=f"layers.{i}", depth=i, type="Linear", module=f"layers.{i}", tensors=(i,), width=100)
        for i in range(tensors)
    ]
    subjects = [Subject(id=0, name="net", type="Net", parameters=1000 * tensors)]
    told = {"subjects": subjects, "tensors": table, "layers": layers, "mode": "watch"}
    writer = RunWriter(path, told)
    for step in (0, 10, 30, 100, 316, 1000, 3162, 10000, 31623):
        writer.scan(make_scan(step, tensors))
    noise = np.random.default_rng(0).random(tensors)
    cost = []
    for step in range(steps):
        row = make_row(step, tensors, noise, sampled=step % 20 == 0)
        start = time.perf_counter()
        writer.pulse(row)
        cost.append((time.perf_counter() - start) * 1e6)
    writer.close(status="finished", steps=steps, seconds=0.01 * steps, scan_count=9)
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
    report(path)
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


def report(path: Path) -> None:
    """Run `livegrad report` in processes of their own; their time and the most memory any of them held."""
    page = path / "page.html"
    for label, arguments in (("", []), (" --json", ["--json"]), (" --html", ["--html", str(page)])):
        command = [sys.executable, "-m", "livegrad", "report", str(path), *arguments]
        timed(f"livegrad report{label}", partial(subprocess.run, command, check=True, capture_output=True))
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{'most memory so far':<42}{peak:9.0f} MiB")
    print(f"{'the page':<42}{page.stat().st_size / 2**20:9.1f} MiB")


def forget(path: Path) -> None:
    """Put the file on disk and drop it from the system's memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
