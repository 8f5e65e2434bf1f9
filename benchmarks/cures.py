"""What the remedies do for programs that do not learn: each script of benchmarks/cures run as it is, and run
again under `livegrad run --treat`, with the same arguments and seeds.

    python benchmarks/cures.py [--only NAME ...] [--seeds N] [--markdown]

Every run has one thread; the two arms of a seed run side by side. The scripts are programs as users write
them, unchanged; what is read off is their last line. A fact holds if every seed meets its goal.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).with_name("cures")


@dataclass(frozen=True)
class Fact:
    """A cure to be shown.

    script, options: the program. treat: the remedies. goal: what the treated program's number has to be, at
    least, or at most if `low`. refused: what livegrad is to say instead of treating; then the second arm is
    the program with the options `instead`, which do the same by hand. seeds: how many by default.
    """

    name: str
    title: str
    script: str
    options: tuple[str, ...]
    treat: str
    goal: float
    low: bool = False
    refused: str | None = None
    instead: tuple[str, ...] = ()
    seeds: int = 2

    def holds(self, value: float) -> bool:
        """Say whether a treated run's number meets the goal."""
        return value <= self.goal if self.low else value >= self.goal


_MLP, _SIGMOID = "digits_mlp.py", ("--activation", "Sigmoid")
FACTS = (
    Fact("tanh-30", "30 tanh layers", _MLP, (), "init", 0.88),
    Fact("sigmoid-30-batch", "30 sigmoid layers", _MLP, _SIGMOID, "normalize=batch", 0.88),
    Fact("sigmoid-30-centred", "30 sigmoid layers", _MLP, _SIGMOID, "init", 0.88),
    Fact(
        name="sigmoid-30-layer",
        title="30 sigmoid layers: refused beforehand, and with LayerNorm written by hand",
        script=_MLP,
        options=_SIGMOID,
        treat="normalize=layer",
        goal=0.3,
        low=True,
        refused="0.391 per layer",
        instead=("--norm", "LayerNorm"),
    ),
    Fact(
        name="gelu-60",
        title="60 GELU layers",
        script=_MLP,
        options=("--activation", "GELU", "--depth", "60", "--steps", "300"),
        treat="skip=scaled",
        goal=0.9,
    ),
    Fact(
        name="tanh-1000",
        title="1,000 tanh layers",
        script=_MLP,
        options=("--depth", "1000", "--optimizer", "adam", "--lr", "1e-5", "--steps", "160"),
        treat="init",
        goal=0.9,
    ),
    Fact(
        name="tanh-10000",
        title="10,000 tanh layers",
        script=_MLP,
        options=(
            *("--depth", "10000", "--optimizer", "adam", "--lr", "7e-7"),
            *("--decay", "--steps", "96"),
        ),
        treat="init=edge",
        goal=0.9,
        seeds=1,
    ),
    Fact(
        name="adding-irnn",
        title="adding problem over 100 steps, tanh RNN: error",
        script="adding.py",
        options=("--lr", "2e-3", "--steps", "1000"),
        treat="recurrent=identity",
        goal=0.02,
        low=True,
    ),
    Fact(
        name="adding-lstm",
        title="adding problem over 100 steps, LSTM: error",
        script="adding.py",
        options=("--layer", "LSTM", "--lr", "5e-3", "--steps", "1000"),
        treat="recurrent=chrono",
        goal=0.02,
        low=True,
    ),
    Fact(
        name="post-norm-96",
        title="post-norm transformer of 96 blocks",
        script="digits_transformer.py",
        options=("--steps", "200"),
        treat="init",
        goal=0.85,
    ),
    Fact(
        name="language-24",
        title="letters of English, 24 blocks without norm: nats per letter",
        script="language.py",
        options=("--steps", "200"),
        treat="init",
        goal=2.4,
        low=True,
    ),
    Fact(
        name="conv-50",
        title="50 convolutions",
        script="digits_cnn.py",
        options=("--steps", "120"),
        treat="init=delta-orthogonal",
        goal=0.9,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One fact, measured. before, after: a number per seed; said: what livegrad said of the treatment."""

    fact: Fact
    before: tuple[float, ...]
    after: tuple[float, ...]
    seconds: float
    said: str

    @property
    def holds(self) -> bool:
        """True if every seed meets the goal, and what had to be refused was."""
        return bool(self.after) and all(self.fact.holds(value) for value in self.after)


def measure(fact: Fact, seeds: int) -> Outcome:
    """Run both arms for each seed."""
    start = time.perf_counter()
    before, after, said = [], [], ""
    for seed in range(seeds):
        plain = [sys.executable, str(SCRIPTS / fact.script), *fact.options, "--seed", str(seed)]
        with tempfile.TemporaryDirectory() as folder:
            run = [
                sys.executable,
                "-m",
                "livegrad",
                "run",
                "--out",
                folder,
                "--treat",
                fact.treat,
                *plain[1:],
            ]
            other = [*plain, *fact.instead] if fact.refused else run
            if fact.refused is not None and not seed:
                said = _refusal(fact, run)
            control, treated = _together(plain, other)
        before.append(_last_number(control[0]))
        after.append(_last_number(treated[0]))
        said = said or _said(treated[1])
    return Outcome(fact, tuple(before), tuple(after), time.perf_counter() - start, said)


def _together(*commands: Sequence[str]) -> list[tuple[str, str]]:
    """(stdout, stderr) of each, run side by side."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        for c in commands
    ]
    return [process.communicate() for process in running]


def _refusal(fact: Fact, command: Sequence[str]) -> str:
    ((_, errors),) = _together(command)
    line = next((line for line in errors.splitlines() if str(fact.refused) in line), None)
    if line is None:
        raise SystemExit(
            f"{fact.name}: {fact.treat} was to be refused ({fact.refused}), and was not:\n{errors}"
        )
    return line.removeprefix("livegrad: ")


def _last_number(text: str) -> float:
    found = re.findall(r"-?\d+\.\d+|nan|inf", text.splitlines()[-1] if text.strip() else "")
    return float(found[-1]) if found else float("nan")


def _said(errors: str) -> str:
    lines = [line for line in errors.splitlines() if " is treated: " in line]
    return lines[0].partition(" is treated: ")[2] if lines else errors.strip().splitlines()[-1][:200]


def _shown(values: Sequence[float]) -> str:
    digits = 4 if max((abs(v) for v in values), default=1) < 0.2 and statistics.fmean(values) < 0.05 else 3
    return ", ".join(
        f"{value:.{digits}f}".lstrip("0") if abs(value) < 1 else f"{value:.3f}" for value in values
    )


def _goal(fact: Fact) -> str:
    return f"{'≤' if fact.low else '≥'} {fact.goal:g}"


def _row(outcome: Outcome) -> tuple[str, ...]:
    fact = outcome.fact
    return (
        fact.title,
        f"`{fact.treat}`",
        _shown(outcome.before),
        _shown(outcome.after),
        _goal(fact),
        "yes" if outcome.holds else "**no**",
        f"{outcome.seconds:.0f}",
    )


HEADER = ("program", "treatment", "as it is", "treated", "goal", "holds", "seconds")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[f.name for f in FACTS])
    parser.add_argument("--seeds", type=int, help="how many of each (default: 2, for the deepest 1)")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    args = parser.parse_args()
    facts = [f for f in FACTS if args.only is None or f.name in args.only]
    outcomes = []
    for fact in facts:
        outcome = measure(fact, args.seeds or fact.seeds)
        outcomes.append(outcome)
        if not args.markdown:
            before, after = _shown(outcome.before), _shown(outcome.after)
            print(f"{fact.name:22} {before:>14} → {after:<14} goal {_goal(fact):8} {outcome.seconds:5.0f} s")
            print(f"{'':22} {outcome.said}", flush=True)
    if args.markdown:
        rows = [HEADER, ("---",) * len(HEADER), *(_row(outcome) for outcome in outcomes)]
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    return 0 if all(outcome.holds for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
