"""Every prediction beside a measurement: benchmarks/theory.py itself, on small nets."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "theory.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_predictions_and_measurements_agree_on_small_nets():
    done = run("--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " NO" not in done.stdout
