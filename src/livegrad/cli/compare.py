"""`livegrad compare`: two recorded runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livegrad.run.reader import Run

EPILOG = """\b
Examples:
  livegrad compare                                     the two newest runs under ./livegrad-runs
  livegrad compare livegrad-runs/20250131-094500-train that run and the newest
  livegrad compare before/ after/ --json | jq .summary
  livegrad compare main/ branch/ --fail-on error       in a CI job: did this change make training worse?
"""


@click.command(epilog=EPILOG, short_help="Two runs side by side: findings, layers, losses.")
@click.argument("a", metavar="[A", required=False, type=click.Path(path_type=Path, readable=False))
@click.argument("b", metavar="[B]]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON document.")
@click.option("--fail-on", type=click.Choice(["error", "warning"]),
              help="Exit with 3 if B has such a finding that A had not.")  # fmt: skip
def compare(a: Path | None, b: Path | None, as_json: bool, fail_on: str | None) -> None:
    """Say what changed from run A to run B: findings, layers, loss, cost.

    A and B are run folders, or folders of runs, of which the newest is taken. Without B it is the newest run
    under ./livegrad-runs, and without A the one before it.
    """
    from livegrad.cli.exit_code import FindingsExit, fails
    from livegrad.diagnose.comparison import compare as compare_runs
    from livegrad.diagnose.comparison import is_gained

    before, after = (_open(path) for path in ((a, b) if a and b else _newest(a)))
    _check(before, after)
    result = compare_runs(before, after)
    document = result.to_dict()
    if as_json:
        print(result.to_json(), flush=True)
    else:
        from livegrad.cli.own_console import own_console
        from livegrad.view.comparison import render_comparison

        render_comparison(document, own_console(stderr=False))
    gained = [{"severity": f["severity"][1]} for f in document["findings"] if is_gained(f)]
    if fails({"findings": gained}, fail_on):
        sys.stdout.flush()
        raise FindingsExit


def _open(path: Path) -> Run:
    import livegrad
    from livegrad.cli.find_run import find_run

    return livegrad.load(find_run(path))


def _newest(before: Path | None) -> tuple[Path, Path]:
    """What stands for the runs that were not named: the newest, and the one before it."""
    from livegrad.errors import RunError
    from livegrad.run.folder import DEFAULT_BASE, find_runs

    runs = find_runs(DEFAULT_BASE)
    if len(runs) < (1 if before else 2):
        raise RunError(
            f"there {'is no run' if not runs else 'is only one run'} under ./{DEFAULT_BASE} to compare. "
            "Record another: livegrad run train.py (or name two folders)."
        )
    return before or runs[-2], runs[-1]


def _check(before: Run, after: Run) -> None:
    if before.path.resolve() == after.path.resolve():
        raise click.UsageError(
            f"A and B are both {str(after.path)!r}. Name two runs; livegrad report shows one of them."
        )
