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
  livegrad compare livegrad-runs/20250131-094500-train livegrad-runs/20250131-101500-train
  livegrad compare before/ after/ --json | jq .summary
  livegrad compare main/ branch/ --fail-on error       in a CI job: did this change make training worse?
"""


@click.command(epilog=EPILOG, short_help="Two runs side by side: findings, layers, losses.")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON document.")
@click.option("--fail-on", type=click.Choice(["error", "warning"]),
              help="Exit with 3 if B has such a finding that A had not.")  # fmt: skip
def compare(a: Path, b: Path, as_json: bool, fail_on: str | None) -> None:
    """Say what changed from run A to run B: findings, layers, loss, cost.

    A and B are run folders, or folders of runs, of which the newest is taken.
    """
    from livegrad.cli.exit_code import FindingsExit, fails
    from livegrad.diagnose.comparison import compare as compare_runs
    from livegrad.diagnose.comparison import is_gained

    before, after = _open(a), _open(b)
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


def _check(before: Run, after: Run) -> None:
    if before.path.resolve() == after.path.resolve():
        raise click.UsageError(
            f"A and B are both {str(after.path)!r}. Name two runs; livegrad report shows one of them."
        )
