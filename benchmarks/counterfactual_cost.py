"""What a counterfactual costs beside a plain training step: keeping a scanned step, and taking one cause out
of it.

    python benchmarks/counterfactual_cost.py [--workload W]… [--repeats N]

In units of a plain step (forward, backward and Adam), medians, one thread. "inputs": copying a batch and the
random states, on each scanned step. "model": the deep copy, on steps that look wrong. "experiment": two
forward passes under a scan with a probe each, the second without the cause; a further cause of the same step
costs half of it. "MiB held" is what a kept step takes in memory, "MiB parameters" what the model's parameters
take. The networks are well, so a fault is only pretended; what runs is the same.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from livegrad.probe import counterfactual
from livegrad.probe.counterfactual import Experiment
from livegrad.probe.intervention.plan import Accusation
from livegrad.probe.replay import BatchKeeper, Replay
from livegrad.probe.scan import StepScan
from livegrad.theory.activation import CATALOGUE

from workloads import WORKLOADS, Training


def clocked(action: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def kept_step(training: Training) -> tuple[BatchKeeper, Callable[[], Replay]]:
    """Scan a step; return what keeps its inputs, and what then copies the model."""
    model, backward = training.model, torch.autograd.backward
    names = {module: name for name, module in model.named_modules()}
    scan, keeper = (
        StepScan(model, names, {id(p): i for i, p in enumerate(model.parameters())}),
        BatchKeeper(model),
    )
    found: list[Any] = []

    def watched(tensors: Any, *args: Any, **kwargs: Any) -> None:
        scan.before_backward(tensors if isinstance(tensors, torch.Tensor) else tensors[0])
        backward(tensors, *args, **kwargs)
        scan.after_backward()
        found.append(scan.close())

    scan.open()
    keeper.open()
    torch.autograd.backward = watched
    try:
        training.step()
    finally:
        torch.autograd.backward = backward
        keeper.close()
    if found[0] is None:
        raise RuntimeError(scan.reason)
    return keeper, lambda: keeper.replay(model, tuple(names.values()), found[0])


def accusation(replay: Replay) -> Accusation:
    """Blame every activation, or the recurrence where there is one."""
    layers = replay.result.layers
    time_rows = tuple(spec.name for spec in layers if spec.kind == "time")
    if time_rows:
        return Accusation("LG102", time_rows, "time")
    blamed = tuple(spec.name for spec in layers if spec.type in CATALOGUE or spec.operator in CATALOGUE)
    return Accusation("LG101", (), "activation-slope", None, blamed)


def measure(name: str, repeats: int) -> dict[str, float]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    training = WORKLOADS[name]()
    rows: list[dict[str, float]] = []
    for _ in range(repeats + 1):
        plain = statistics.median(clocked(training.step)[0] for _ in range(5))
        keeper, copy_model = kept_step(training)
        assert keeper.batch is not None, keeper.reason
        inputs, _ = clocked(keeper.batch.given)
        copied, replay = clocked(copy_model)
        experiment, outcome = clocked(lambda kept=replay: Experiment(kept).test(accusation(kept)))
        if outcome.note is not None:
            raise RuntimeError(outcome.note)
        rows.append(
            {
                "plain": plain,
                "inputs": inputs / plain,
                "model": copied / plain,
                "experiment": experiment / plain,
                "held": replay.nbytes / 2**20,
                "parameters": sum(p.nbytes for p in training.model.parameters()) / 2**20,
            }
        )
    return {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", action="append")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    counterfactual.FAINT_DECADES = -1.0
    print("| workload | plain, ms | inputs | model | experiment | MiB held | MiB parameters |")
    print("|---|---|---|---|---|---|---|")
    for name in options.workload or list(WORKLOADS):
        row = measure(name, options.repeats)
        shares = " | ".join(f"{row[key]:.2f}" for key in ("inputs", "model", "experiment"))
        held = f"{row['held']:.1f} | {row['parameters']:.1f}"
        print(f"| {name} | {1000 * row['plain']:.1f} | {shares} | {held} |", flush=True)


if __name__ == "__main__":
    main()
