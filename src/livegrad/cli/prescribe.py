"""`livegrad prescribe`: what may cure a program, tried from inside it; for livegrad's own use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from livegrad.cli.program_command import ProgramCommand, program_of


@click.command(cls=ProgramCommand, options_metavar="[OPTIONS]", hidden=True)
@click.option("-m", "module", metavar="MODULE", help="A module, as `python -m MODULE` runs it.")
@click.option("-c", "code", metavar="CODE", help="Code given as text, as `python -c CODE` runs it.")
@click.option("--history", metavar="RUN", type=click.Path(path_type=Path, exists=True), required=True,
              help="The run folder that the findings come from.")  # fmt: skip
@click.option("--into", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where to write the prescription, as JSON.")  # fmt: skip
@click.option("--patience", metavar="SECONDS", type=click.FloatRange(0, min_open=True),
              help="How long trying on copies may take.")  # fmt: skip
@click.argument(
    "arguments", metavar="(SCRIPT | -m MODULE | -c CODE) [ARGS]...", nargs=-1, type=click.UNPROCESSED
)
def prescribe(
    module: str | None,
    code: str | None,
    history: Path,
    into: Path,
    patience: float | None,
    arguments: tuple[str, ...],
) -> Callable[[], None]:
    """Run a program up to its first steps, end it, and write what may cure it."""
    from livegrad.cli.prescribed_run import PrescribedRun

    program = program_of("prescribe", module, code, arguments)
    run = PrescribedRun(program, history.absolute(), into.absolute(), patience)
    return run.run
