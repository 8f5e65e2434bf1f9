"""Confirms every label by plain training, without a watcher.

    python -m tests.zoo.verify [--jobs 1] [--patience 1] [--sick] [NAME ...]

For each case: its loss at the first and at the last steps, the constant predictor's loss, the time, and
whether what the label claims is so. Exits 1 when a label is not confirmed. `--patience 10` trains the sick
ten times as long.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from tests.zoo import Case, Training, load_cases

TAIL = 5


@dataclass(frozen=True)
class Outcome:
    """What plain training of one case showed; `last` is the mean loss of the last TAIL steps."""

    name: str
    first: float
    last: float
    baseline: float | None
    seconds: float
    confirmed: bool


def confirm(truth: str, losses: Sequence[float], training: Training) -> bool:
    """Says whether the losses (one a step) and the training's own check bear out a truth of case.TRUTHS."""
    first, last = losses[0], sum(losses[-TAIL:]) / len(losses[-TAIL:])
    baseline = training.baseline
    if training.check is not None and not training.check():
        return False
    if truth == "checked":
        return training.check is not None
    if truth == "nonfinite":
        return not math.isfinite(losses[-1])
    if truth == "diverges":
        return not math.isfinite(last) or last > 2 * max(first, baseline or 0.0)
    if not math.isfinite(last):
        return truth == "stuck"
    if truth == "slow":
        return last <= 1.05 * first
    if baseline is None:
        raise ValueError(f"truth {truth!r} needs Training.baseline")
    if truth == "converged":
        return last < 0.3 * baseline
    return last < 0.85 * baseline if truth == "learns" else last > 0.9 * baseline


def verify(case: Case, patience: int = 1) -> Outcome:
    """Trains one case and judges its label; a sick case trains `patience` times its steps."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    training = case.build()
    steps = case.steps if case.is_healthy else case.steps * patience
    losses = [training.step() for _ in range(steps)]
    seconds = time.perf_counter() - start
    last = sum(losses[-TAIL:]) / len(losses[-TAIL:])
    return Outcome(
        case.name, losses[0], last, training.baseline, seconds, confirm(case.truth, losses, training)
    )


def _verify_named(name: str, patience: int) -> Outcome:
    (case,) = [each for each in load_cases() if each.name == name]
    return verify(case, patience)


def _line(case: Case, outcome: Outcome) -> str:
    baseline = "" if outcome.baseline is None else f"{outcome.baseline:10.4g}"
    label = " ".join(sorted(case.expect)) or "healthy"
    return (
        f"{case.name:42} {label:18} {case.truth:9} {outcome.first:10.4g} {outcome.last:10.4g} {baseline:>10}"
        f" {outcome.seconds:6.2f}  {'ok' if outcome.confirmed else 'NOT CONFIRMED'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="only cases whose name contains one of these"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--patience", type=int, default=1)
    parser.add_argument("--sick", action="store_true", help="only the sick cases")
    args = parser.parse_args()
    cases = [each for each in load_cases(names=tuple(args.names)) if each.expect or not args.sick]
    if not cases:
        parser.error(f"no case's name contains any of {args.names}; run without names to list all")
    print(f"{'case':42} {'label':18} {'truth':9} {'first':>10} {'last':>10} {'constant':>10} {'s':>6}")
    wrong = 0
    with ProcessPoolExecutor(args.jobs) as pool:
        outcomes = (
            pool.map(_verify_named, [each.name for each in cases], [args.patience] * len(cases))
            if args.jobs > 1
            else (verify(each, args.patience) for each in cases)
        )
        for each, outcome in zip(cases, outcomes, strict=True):
            print(_line(each, outcome), flush=True)
            wrong += not outcome.confirmed
    healthy = sum(each.is_healthy for each in cases)
    print(f"{len(cases)} cases: {len(cases) - healthy} sick, {healthy} healthy; {wrong} not confirmed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
