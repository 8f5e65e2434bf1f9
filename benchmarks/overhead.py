"""What watching a training costs: step time and peak memory with a monitor over without.

    python benchmarks/overhead.py [--workload W]… [--monitor M]… [--repeats N] [--quick] [--peers]

Identical processes differ by 12 to 18 % from memory layout alone, so each process is compared with itself:
steps before the monitor is attached, with it, and after it is detached; the ratio is the middle over the
mean of the outer two. Processes take turns, malloc's thresholds are fixed for them, torch has one thread,
and the table shows medians over processes. The row "plain" attaches nothing: what it differs from 1 by is
noise. Peak memory is compared between processes of the same number of steps, with malloc as it comes.
livegrad's first 100 steps are shown by themselves too, and beside them what it reports of its own cost. With
`--clock cpu` other programs do not count.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_ARENA_MAX": "1",
}
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
OPENING = 101  # steps that livegrad watches more closely than the rest
LONGEST = 4  # times the plain seconds: a monitor that is so slow needs no more steps to be measured
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def measure(workload: str, monitor: str, seconds: float, clock: str) -> dict[str, float]:
    """Run one training in this process: plain, watched, plain."""
    import torch

    from monitors import LIVEGRAD, MONITORS
    from workloads import WORKLOADS

    torch.set_num_threads(1)
    torch.manual_seed(0)
    training = WORKLOADS[workload]()
    now = CLOCKS[clock]

    def time_steps(number: int, limit: float = float("inf")) -> float:
        start, count = now(), 0
        while count < number and now() - start < limit:
            training.step()
            count += 1
        return (now() - start) / count

    time_steps(5)
    number = max(OPENING if monitor in LIVEGRAD else 10, round(seconds / time_steps(5)))
    before = time_steps(number)
    try:
        detach = MONITORS[monitor](training)
    except ImportError as error:
        return {"missing": str(error)}
    first = min(OPENING, number)
    opening = time_steps(first, LONGEST * seconds)
    later = time_steps(2 * number - first, LONGEST * seconds)
    told = detach() or {}
    plain = (before + time_steps(number)) / 2
    return {
        "ratio": (first * opening + (2 * number - first) * later) / (2 * number * plain),
        "opening": first * (opening / plain - 1),
        "later": later / plain,
        "milliseconds": 1000 * plain,
        "steps": 2 * number,
        **told,
    }


def measure_memory(workload: str, monitor: str, steps: int) -> dict[str, float]:
    """Run so many steps in this process and say how much memory it ever held."""
    import torch

    from monitors import MONITORS
    from workloads import WORKLOADS

    torch.set_num_threads(1)
    training = WORKLOADS[workload]()
    detach = MONITORS[monitor](training)
    for _ in range(steps):
        training.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    detach()
    return {"mebibytes": peak / (1024 if sys.platform == "linux" else 1024**2)}


def in_new_process(**job: object) -> dict[str, float]:
    """Measure in a process of its own; its last line of output is the result."""
    command = [sys.executable, str(Path(__file__)), "--job", json.dumps(job)]
    environment = {**os.environ, **THREADS, **(MALLOC if "clock" in job else {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{job} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(workload: str, monitors: list[str], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return for each monitor the median time ratio, its range, and the ratio of peak memory."""
    runs: dict[str, list[dict[str, float]]] = {monitor: [] for monitor in monitors}
    missing: set[str] = set()
    for _ in range(options.repeats):
        for monitor in monitors:
            job = {
                "workload": workload,
                "monitor": monitor,
                "seconds": options.seconds,
                "clock": options.clock,
            }
            run = in_new_process(**job)
            if "missing" not in run:
                runs[monitor].append(run)
            elif monitor not in missing:
                missing.add(monitor)
                print(f"{monitor}: left out, {run['missing']}", file=sys.stderr)
    peak = {}
    if not options.no_memory:
        job = {"workload": workload, "steps": options.memory_steps}
        watched = dict.fromkeys(["plain", *(m for m in monitors if runs[m])])
        peak = {m: in_new_process(monitor=m, **job)["mebibytes"] for m in watched}
    return {
        monitor: {
            **{key: statistics.median(run[key] for run in runs[monitor]) for key in runs[monitor][0]},
            "low": min(run["ratio"] for run in runs[monitor]),
            "high": max(run["ratio"] for run in runs[monitor]),
            "memory": peak[monitor] / peak["plain"] if peak else float("nan"),
        }
        for monitor in monitors
        if runs[monitor]
    }


def show(results: dict[str, dict[str, dict[str, float]]], monitors: list[str], markdown: bool) -> None:
    """Print one row a monitor: time ratio (lowest–highest), and memory ratio."""
    heads = [f"{w} ({next(iter(r.values()))['milliseconds']:.1f} ms)" for w, r in results.items()]
    rows = [["monitor", *heads]]
    for monitor in monitors:
        row = [monitor]
        for result in results.values():
            r = result.get(monitor)
            if r is None:
                row.append("")
                continue
            memory = "" if r["memory"] != r["memory"] else f", memory {r['memory']:.2f}"
            row.append(f"{r['ratio']:.3f} ({r['low']:.3f}–{r['high']:.3f}){memory}")
        rows.append(row)
    print_table(rows, markdown)


def show_parts(results: dict[str, dict[str, dict[str, float]]], markdown: bool) -> None:
    """Print for livegrad what the first 100 steps cost, the step time after them, and what it reports."""
    rows = [
        [
            "workload",
            "monitor",
            "watched steps",
            "the first 100 cost",
            "step time after",
            "reported: first 100",
            "after",
            "in all",
        ]
    ]
    for workload, result in results.items():
        for monitor, r in result.items():
            if "share" in r:
                shares = (f"{r[key]:.1%}" for key in ("share_of_opening", "share_after_opening", "share"))
                measured = (f"{r['steps']:.0f}", f"{r['opening']:.1f} steps", f"{r['later']:.3f}")
                rows.append([workload, monitor, *measured, *shares])
    if len(rows) > 1:
        print()
        print_table(rows, markdown)


def print_table(rows: list[list[str]], markdown: bool) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("| " + " | ".join(cells) + " |" if markdown else "   ".join(cells))
        if markdown and number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what watching a training costs.")
    parser.add_argument(
        "--workload", action="append", help="one of the workloads; may be repeated; all by default"
    )
    parser.add_argument(
        "--monitor", action="append", help="one of the monitors; may be repeated; livegrad's by default"
    )
    parser.add_argument("--peers", action="store_true", help="measure the peers too, in the same run")
    parser.add_argument("--repeats", type=int, default=5, help="processes for each pair")
    parser.add_argument(
        "--seconds", type=float, default=10, help="plain seconds before and after; twice that watched"
    )
    parser.add_argument(
        "--memory-steps", type=int, default=100, help="steps of the processes whose memory is measured"
    )
    parser.add_argument("--no-memory", action="store_true", help="leave the memory out")
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="cpu: time this process really computed"
    )
    parser.add_argument("--quick", action="store_true", help="one repeat of 2 seconds, for a first look")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = json.loads(options.job)
        print(json.dumps(measure_memory(**job) if "steps" in job else measure(**job)))
        return
    if options.quick:
        options.repeats, options.seconds, options.memory_steps = 1, 2, 20

    from monitors import LIVEGRAD, MONITORS
    from workloads import WORKLOADS

    workloads = options.workload or list(WORKLOADS)
    monitors = options.monitor or list(MONITORS if options.peers else LIVEGRAD)
    for name, known in ((workloads, WORKLOADS), (monitors, MONITORS)):
        if unknown := set(name) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    results = {}
    for workload in workloads:
        results[workload] = compare(workload, monitors, options)
        ratios = ", ".join(f"{monitor} {r['ratio']:.3f}" for monitor, r in results[workload].items())
        print(f"{workload}: {ratios}", file=sys.stderr, flush=True)
    show(results, monitors, options.markdown)
    show_parts(results, options.markdown)


if __name__ == "__main__":
    main()
