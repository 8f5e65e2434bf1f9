"""`livegrad run`: watch a training program, unmodified, and say at its end what was found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from livegrad.cli.program_command import ProgramCommand, program_of

EPILOG = """\b
Examples:
  livegrad run train.py --epochs 3
  livegrad run --every 10 -m package.train
  livegrad run --fail-on error train.py       exit code 3 if gradients vanish or explode
  torchrun --nproc-per-node=8 -m livegrad run train.py

The program sees what plain python would give it, and its exit code is kept. livegrad itself writes to
stderr, and to a run folder that `livegrad report` opens again.
"""


@click.command(
    cls=ProgramCommand,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Watch a training script, unmodified.",
)
@click.option("-m", "module", metavar="MODULE", help="Run a module as `python -m MODULE` does.")
@click.option("-c", "code", metavar="CODE", help="Run code given as text, as `python -c CODE` does.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder that run folders are made in.  [default: ./livegrad-runs]")  # fmt: skip
@click.option("--budget", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True), default=0.01,
              show_default=True, help="Share of the training time that watching may cost.")  # fmt: skip
@click.option("--every", metavar="N", type=click.IntRange(min=1),
              help="Record every Nth step, whatever it costs.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(["error", "warning"]),
              help="Exit with 3 on such a finding, if the script itself succeeded.")  # fmt: skip
@click.option("--treat", metavar="REMEDIES",
              help="Treat each model before it trains: init, or init=he,clip=norm:limit=1.")  # fmt: skip
@click.option("--history", metavar="RUN", type=click.Path(path_type=Path),
              help="An earlier run, from which remedies take their thresholds.")  # fmt: skip
@click.option("--guard", is_flag=True,
              help="Clip gradient spikes, skip steps with NaN or infinity.")  # fmt: skip
@click.option("--steps", metavar="N", type=click.IntRange(min=1),
              help="End the program after N optimizer steps.")  # fmt: skip
@click.option("--seconds", metavar="S", type=click.FloatRange(0, min_open=True), hidden=True,
              help="End it after S seconds of training, but not within its first steps.")  # fmt: skip
@click.option("--repetition", metavar="K", type=click.IntRange(min=0), hidden=True,
              help="Shift every seed that the program sets by K strides; seed what it does not.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="At the end, print the report as JSON on stdout.")
@click.option(
    "--quiet", "-q", is_flag=True, help="Say nothing on stderr; the run folder and report are written."
)
@click.argument(
    "arguments", metavar="(SCRIPT | -m MODULE | -c CODE) [ARGS]...", nargs=-1, type=click.UNPROCESSED
)
def run(
    module: str | None,
    code: str | None,
    out: Path | None,
    budget: float,
    every: int | None,
    fail_on: str | None,
    treat: str | None,
    history: Path | None,
    guard: bool,
    steps: int | None,
    seconds: float | None,
    repetition: int | None,
    as_json: bool,
    quiet: bool,
    arguments: tuple[str, ...],
) -> Callable[[], None]:
    """Run a training program and watch its gradients.

    SCRIPT is a file, or a folder or zip file with a __main__.py, as for python. What follows it belongs to
    the program.
    """
    from livegrad.cli.find_run import find_run
    from livegrad.cli.watched_run import WatchedRun

    program = program_of("run", module, code, arguments)
    choices = ()
    if treat is not None:
        from livegrad.treat.choice import parse_choices, require_known

        choices = parse_choices(treat)
        require_known(choices)
    watched = WatchedRun.prepare(
        program,
        out=out,
        budget=budget,
        every=every,
        quiet=quiet,
        treat=choices,
        history=find_run(history) if history is not None else None,
        guard=guard,
        steps=steps,
        seconds=seconds,
        repetition=repetition,
    )
    return lambda: watched.run(as_json=as_json, fail_on=fail_on)
