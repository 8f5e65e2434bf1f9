"""`livegrad live`: follow a run in the terminal while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livegrad.errors import RunError

if TYPE_CHECKING:
    from livegrad.run.reader import Run

EPILOG = """\b
Examples:
  livegrad live                                  the newest run under ./livegrad-runs
  livegrad live livegrad-runs/20250131-094500-train
  ssh node livegrad live --once /shared/run      one look, for scripts and cron
"""


@click.command(epilog=EPILOG, short_help="Follow a run in the terminal while it trains.")
@click.argument("path", metavar="[RUN]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--interval", metavar="SECONDS", type=click.FloatRange(min=0.1), default=1.0, show_default=True,
              help="Shortest time between two looks.")  # fmt: skip
@click.option("--once", is_flag=True, help="Take one look and end.")
def live(path: Path | None, interval: float, once: bool) -> None:
    """Follow a run while it trains: how far it is, and what its gradients say so far.

    Reads the run folder only, so it can be started and left (Ctrl-C) at any time and on any machine that sees
    the folder. Ends when the run does, with the run's report on the screen. Where the output is no terminal,
    one line is printed whenever the run is further.
    """
    import livegrad
    from livegrad.cli.find_run import find_run, starting_run

    try:
        starting = None if once else starting_run(path)
        if starting is not None:
            _wait_for_first_step(starting, interval)
    except KeyboardInterrupt:
        return
    run = livegrad.load(starting or find_run(path))
    try:
        if not once:
            _follow(run, interval)
    except KeyboardInterrupt:
        click.echo(err=True)
    _show_report(run)


def _wait_for_first_step(folder: Path, interval: float) -> None:
    import time

    from livegrad.run.folder import RUN_FILE

    click.echo(f"livegrad: {folder} has not taken a step yet; waiting (Ctrl-C to leave)", err=True)
    while not (folder / RUN_FILE).exists():
        if not folder.exists():
            raise RunError(f"the program of {str(folder)!r} has ended without a single optimizer step.")
        time.sleep(interval)


def _follow(run: Run, interval: float) -> None:
    from livegrad.cli.own_console import own_console

    console = own_console(stderr=False)
    if console.is_terminal:
        from livegrad.cli.live_screen import follow_on_screen

        follow_on_screen(run, console, interval)
    else:
        _follow_in_lines(run, interval)


def _follow_in_lines(run: Run, interval: float) -> None:
    import time

    from livegrad.cli.live_screen import status_line

    said = -1
    while True:
        if len(run) != said:
            said = len(run)
            click.echo(f"livegrad: {status_line(run)}")
        if not run.is_live:
            return
        time.sleep(interval)
        run.refresh()


def _show_report(run: Run) -> None:
    from livegrad.cli.own_console import own_console
    from livegrad.view.console import render_report

    run.refresh()
    render_report(run.report().to_dict(), own_console(stderr=False))
