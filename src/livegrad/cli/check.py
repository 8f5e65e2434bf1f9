"""`livegrad check`: will this program train? Run its first steps, stop it, and say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from livegrad.cli.program_command import ProgramCommand, program_of

EPILOG = """\b
Examples:
  livegrad check train.py --epochs 3
  livegrad check --fail-on error -m package.train     exit code 3 if it will not train
  livegrad check --json train.py | jq .prognosis

The program runs until its model has taken a few optimizer steps, each of them measured, and is stopped there:
nothing that it would do later is done.
"""


@click.command(
    cls=ProgramCommand,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Will it train? Stops the script after its first steps.",
)
@click.option("-m", "module", metavar="MODULE", help="Check a module as `python -m MODULE` runs it.")
@click.option("-c", "code", metavar="CODE", help="Check code given as text, as `python -c CODE` runs it.")
@click.option("--steps", metavar="N", type=click.IntRange(min=1), default=10, show_default=True,
              help="Optimizer steps to look at before the program is stopped.")  # fmt: skip
@click.option("--jacobian", is_flag=True,
              help="Measure the extreme singular values of the input-output Jacobian too.")  # fmt: skip
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write one HTML file that needs nothing else.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True,
              help="Print the report as JSON on stdout; the program's stdout goes to stderr.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(["error", "warning"]), help="Exit with 3 on such a finding.")
@click.argument(
    "arguments", metavar="(SCRIPT | -m MODULE | -c CODE) [ARGS]...", nargs=-1, type=click.UNPROCESSED
)
def check(
    module: str | None,
    code: str | None,
    steps: int,
    jacobian: bool,
    page: Path | None,
    as_json: bool,
    fail_on: str | None,
    arguments: tuple[str, ...],
) -> Callable[[], None]:
    """Say before training whether a program will train at this depth, and what would change it.

    SCRIPT is a file, or a folder or zip file with a __main__.py, as for python. What follows it belongs to
    the program.
    """
    from livegrad.cli.checked_run import CheckedRun, CheckOptions

    program = program_of("check", module, code, arguments)
    page = page.absolute() if page is not None else None
    options = CheckOptions(steps, as_json, page, fail_on, jacobian)
    return lambda: CheckedRun(program, options).run()
