"""How `livegrad treat` fares on whole programs: each of benchmarks/programs run as a user would run it.

    python benchmarks/programs.py [--seeds 1] [--minutes 3] [NAME ...]

Those of `sick` fail as people's programs do, those of `textbook` by one illness each that the literature
knows: an architecture (MLP, CNN, recurrent, transformer) whose gradient vanishes, explodes or dies, whose
units are saturated, that forgets, or whose number format is too narrow. All were written before livegrad was
run on them, and each learns with a textbook remedy in as many steps. What failed at first was looked at
since, so that the figures say what is repaired and not what to expect of other programs; docs/limits.md has
the first ones. A NAME is a program, or one of these folders or `healthy`.

A program counts as cured by the proposal that is tried first if that arm ends healthy and its loss is at
least 5 % under the control's (finite, where that ended as NaN); else by the second; else it is not cured. Of
one seed that is no proof, but what failed is found so; `--seeds 3` is what `livegrad treat` does by itself.
Healthy ones count as harmed if anything is tried.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("programs")
LOWER = 0.95


def treated(program: Path, seeds: int, minutes: float) -> dict[str, Any]:
    """The document that `livegrad treat --json` prints for a program."""
    with tempfile.TemporaryDirectory(prefix="programs-") as folder:
        options = ["--seeds", str(seeds), "--minutes", str(minutes), "--jobs", "1", "--out", folder]
        done = subprocess.run(
            [sys.executable, "-m", "livegrad", "treat", "--json", "-q", *options, str(program)],
            cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {"verdict": f"failed: {done.stderr.strip()[-200:]}", "arms": []}


def cures(arm: dict[str, Any], control: float | None) -> bool:
    """Whether an arm ended healthy and lower than the control."""
    loss = _number(arm["loss"])
    if arm["left"] or arm["stopped"] or loss is None or not math.isfinite(loss):
        return False
    if control is None or not math.isfinite(control):
        return True
    return loss < control - (1 - LOWER) * abs(control)


def judge(document: dict[str, Any], healthy: bool) -> str:
    """What came of it: first, second, uncured or not found; of a healthy program well or harmed."""
    arms = document["arms"]
    if healthy:
        return "well" if document["verdict"] == "healthy" and len(arms) == 1 else "harmed"
    if document["verdict"] == "healthy":
        return "not found"
    control = _number(arms[0]["loss"]) if arms else None
    for arm, said in zip(arms[1:], ("first", "second"), strict=False):
        if cures(arm, control):
            return said
    return "uncured"


def _number(loss: Any) -> float | None:
    return None if loss is None else float(loss)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="only these programs, or folders of them")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for program in sorted(FOLDER.glob("*/*.py")):
        if options.names and not {program.stem, program.parent.name} & set(options.names):
            continue
        healthy, begun = program.parent.name == "healthy", time.perf_counter()
        document = treated(program, options.seeds, options.minutes)
        what = judge(document, healthy)
        counts[f"{program.parent.name}: {what}"] += 1
        codes = " ".join(f["code"] for f in (document.get("control") or {}).get("findings", []))
        tried = "; ".join(f"{a['name']} {a['loss']}" for a in document["arms"][:3])
        seconds = time.perf_counter() - begun
        print(f"{program.stem:24.24s} {what:10s} {codes:20s} {tried}   ({seconds:.0f} s)", flush=True)
    for what, number in sorted(counts.items()):
        print(f"{what} {number}")


if __name__ == "__main__":
    main()
