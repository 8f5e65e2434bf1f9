"""What one scanned step costs: time and peak memory of a training step under a scan over those of a plain
one.

    python benchmarks/scan_cost.py [--workload W]… [--steps N]

Plain and scanned steps take turns in one process with one thread, so that both see the same memory layout;
the table shows medians. A step is forward, backward and Adam. The stages are shares of a plain step: what the
record adds to the forward pass, what finding the spine and the probe take before backward, what listening
adds to backward, and what making the columns takes. Peak memory is that of the process while 3 steps run,
above what it held before, each measured in a process of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_ARENA_MAX": "1",
}


class ScannedBackward:
    """Runs a scan around the steps of one training by standing in for torch.autograd.backward."""

    def __init__(self, model: Any) -> None:
        import torch

        self._model = model
        self._backward = torch.autograd.backward
        self._names = {m: name for name, m in model.named_modules()}
        self._ids = {id(p): i for i, p in enumerate(model.parameters())}
        self.stages = {"forward": 0.0, "probe": 0.0, "backward": 0.0, "columns": 0.0}

    def step(self, step: Any) -> None:
        import torch

        from livegrad.probe.scan import StepScan

        scan = StepScan(self._model, self._names, self._ids)
        marks = []

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
            marks.append(time.perf_counter())
            scan.before_backward(tensors if isinstance(tensors, torch.Tensor) else tensors[0])
            marks.append(time.perf_counter())
            self._backward(tensors, *args, **kwargs)
            scan.after_backward()
            marks.append(time.perf_counter())
            if scan.close() is None:
                raise RuntimeError(scan.reason)
            marks.append(time.perf_counter())

        marks.append(time.perf_counter())
        scan.open()
        torch.autograd.backward = backward
        try:
            step()
        finally:
            torch.autograd.backward = self._backward
        for stage, first, last in zip(self.stages, marks, marks[1:], strict=False):
            self.stages[stage] = last - first


def plain_stages(step: Any) -> dict[str, float]:
    """Seconds of the forward and the backward pass of a plain step."""
    import torch

    original, marks = torch.autograd.backward, [time.perf_counter()]

    def backward(*args: Any, **kwargs: Any) -> None:
        marks.append(time.perf_counter())
        original(*args, **kwargs)
        marks.append(time.perf_counter())

    torch.autograd.backward = backward
    try:
        step()
    finally:
        torch.autograd.backward = original
    return {"forward": marks[1] - marks[0], "backward": marks[2] - marks[1]}


def measure_time(name: str, steps: int) -> dict[str, float]:
    """Alternate plain and scanned steps; return the ratio and the stages' shares of a plain step."""
    training = _training(name)
    scanned = ScannedBackward(training.model)
    for _ in range(3):
        training.step()
        scanned.step(training.step)
    rows: list[dict[str, float]] = []
    for _ in range(steps):
        begun = time.perf_counter()
        base = plain_stages(training.step)
        plain = time.perf_counter() - begun
        begun = time.perf_counter()
        scanned.step(training.step)
        under = time.perf_counter() - begun
        rows.append(
            {
                "plain": plain,
                "ratio": under / plain,
                "forward": (scanned.stages["forward"] - base["forward"]) / plain,
                "probe": scanned.stages["probe"] / plain,
                "backward": (scanned.stages["backward"] - base["backward"]) / plain,
                "columns": scanned.stages["columns"] / plain,
            }
        )
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def measure_memory(name: str, watched: bool) -> float:
    """Peak resident bytes of 3 steps above what the process held before them."""
    training = _training(name)
    scanned = ScannedBackward(training.model)
    training.step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with suppress(OSError), open("/proc/self/clear_refs", "w") as reset:  # noqa: PTH123 - Linux: start the peak anew
        reset.write("5")
    for _ in range(3):
        scanned.step(training.step) if watched else training.step()
    return _peak(before)


def _peak(otherwise: float) -> float:
    with suppress(OSError, StopIteration), open("/proc/self/status") as status:  # noqa: PTH123
        return 1024 * float(next(line for line in status if line.startswith("VmHWM")).split()[1])
    return 1024 * otherwise


def _training(name: str) -> Any:
    import torch

    from workloads import WORKLOADS

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return WORKLOADS[name]()


def _in_process(*arguments: str) -> Any:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **THREADS, **MALLOC}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--stage", choices=["time", "plain memory", "scanned memory"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    from workloads import WORKLOADS

    names = options.workload or list(WORKLOADS)
    if options.stage == "time":
        print(json.dumps(measure_time(names[0], options.steps)))
        return
    if options.stage:
        print(json.dumps(measure_memory(names[0], options.stage == "scanned memory")))
        return
    print("| workload | plain, ms | scanned / plain | forward | probe | backward | columns | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        row = _in_process("--workload", name, "--steps", str(options.steps), "--stage", "time")
        plain, under = (
            _in_process("--workload", name, "--stage", f"{kind} memory") for kind in ("plain", "scanned")
        )
        shares = " | ".join(f"{row[stage]:+.2f}" for stage in ("forward", "probe", "backward", "columns"))
        print(
            f"| {name} | {1000 * row['plain']:.1f} | {row['ratio']:.2f} | {shares} | {under / plain:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
