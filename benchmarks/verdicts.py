"""How often the verdict is right: every labelled training of tests/zoo watched as `livegrad run` would, with
three common rules of thumb.

    python benchmarks/verdicts.py [--half tuning|evaluation] [--family F] [--markdown] [NAME ...]

The rules of thumb, written from their published definitions, look at gradient norms of the recorded steps:
  mean          mean |g| of any weight matrix under 1e-7 (vanishing), or over 1e3 (exploding)
  first/last    gradient norm of the first weight matrix over the last's under 1/70, or over 70
  global norm   global gradient norm under 1e-5, or over 1e2, in more than half of the steps
"""

import argparse
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from tests.zoo import Case, load_cases

import livegrad
from livegrad.run.reader import Run


@dataclass(frozen=True)
class Outcome:
    """What livegrad and the rules of thumb said of one case. codes: of severity warning or error."""

    case: Case
    codes: frozenset[str]
    infos: frozenset[str]
    layers: tuple[str, ...]
    rules: dict[str, bool]

    @property
    def is_right(self) -> bool:
        """True for a sick case found with an accepted code, and for a healthy one left in peace."""
        return not self.codes if self.case.is_healthy else bool(self.codes & self.case.expect)


def watch_case(case: Case) -> Outcome:
    """Train one case under livegrad, read its report back from disk."""
    from livegrad.watch.session import WatchOptions, start

    folder = Path(tempfile.mkdtemp(prefix="verdict-")) / "run"
    session = start(WatchOptions(path=folder, quiet=True))
    try:
        training = case.build()
        for _ in range(case.steps):
            training.step()
    finally:
        session.finish(exit_code=0, error=None)
    try:
        run = livegrad.load(folder)
        report = run.report()
        return Outcome(
            case, _codes(report, True), _codes(report, False), _layers(report), rules_of_thumb(run)
        )
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)


def _codes(report: livegrad.Report, serious: bool) -> frozenset[str]:
    return frozenset(f["code"] for f in report.findings if (f["severity"] != "info") == serious)


def _layers(report: livegrad.Report) -> tuple[str, ...]:
    return tuple(
        f"{f['code']}[{f['severity'][0]}] {f['layers_text']}: {f['message']}" for f in report.findings
    )


def rules_of_thumb(run: Run) -> dict[str, bool]:
    """Say for each rule of thumb whether it would have raised an alarm on this run."""
    pulses = run.pulses(limit=None)
    matrices = [j for j, k in enumerate(pulses.tensor) if len(run.tensors[int(k)].shape) >= 2]
    if not matrices or not len(pulses.step):
        return {"mean": False, "first/last": False, "global norm": False}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        size = np.nanmedian(pulses.gradient_rms[:, matrices], axis=0)
        norm = np.nanmedian(pulses.gradient_norm[:, matrices], axis=0)
        whole = run.scalars()["gradient_norm"]
        ratio = norm[0] / norm[-1]
        return {
            "mean": bool((size < 1e-7).any() or (size > 1e3).any() or not np.isfinite(size).all()),
            "first/last": bool(not 1 / 70 < ratio < 70),
            "global norm": bool(np.mean(~((whole > 1e-5) & (whole < 1e2))) > 0.5),
        }


def confusion(outcomes: Iterable[Outcome]) -> list[tuple[str, int, int, int, int]]:
    """Return (who, sick found, sick, healthy flagged, healthy) for livegrad and each rule of thumb."""
    done = list(outcomes)
    sick = [o for o in done if not o.case.is_healthy]
    healthy = [o for o in done if o.case.is_healthy]
    rows = [
        (
            "livegrad",
            sum(o.is_right for o in sick),
            len(sick),
            sum(not o.is_right for o in healthy),
            len(healthy),
        )
    ]
    for rule in done[0].rules if done else ():
        found, alarms = sum(o.rules[rule] for o in sick), sum(o.rules[rule] for o in healthy)
        rows.append((rule, found, len(sick), alarms, len(healthy)))
    return rows


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("names", nargs="*", help="only cases whose name contains one of these")
    parser.add_argument("--half", choices=["tuning", "evaluation"])
    parser.add_argument("--family")
    parser.add_argument(
        "--markdown", action="store_true", help="print the table as Markdown, a column a half"
    )
    parser.add_argument("--verbose", action="store_true", help="show the findings of every case")
    options = parser.parse_args()
    cases = [c for c in load_cases(options.half, options.names) if options.family in (None, c.family)]
    outcomes = []
    for case in cases:
        outcome = watch_case(case)
        outcomes.append(outcome)
        wanted = "healthy" if case.is_healthy else "/".join(sorted(case.expect))
        got = " ".join(sorted(outcome.codes)) or "-"
        print(
            f"{'ok   ' if outcome.is_right else 'WRONG'} {case.name:44.44s} want {wanted:18s} got {got}",
            flush=True,
        )
        if options.verbose or not outcome.is_right:
            for line in outcome.layers:
                print("        ", line)
    show_table(outcomes, options.markdown)


def show_table(outcomes: list[Outcome], markdown: bool) -> None:
    """Print who found how many of the sick and flagged how many of the healthy, each half by itself."""
    for half in ("tuning", "evaluation"):
        chosen = [o for o in outcomes if o.case.half == half]
        if not chosen:
            continue
        if markdown:
            print(f"\n| {half} half | sick found | healthy flagged |\n|---|---|---|")
        else:
            print(f"\n{half:14s}{'sick found':>14s}{'healthy flagged':>18s}")
        for who, found, sick, alarms, healthy in confusion(chosen):
            first, second = f"{found} of {sick}", f"{alarms} of {healthy}"
            print(f"| {who} | {first} | {second} |" if markdown else f"{who:14s}{first:>14s}{second:>18s}")


if __name__ == "__main__":
    main()
