"""`livegrad treat`: find the smallest change that makes a script learn, and prove it beside doing nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from livegrad.cli.program_command import ProgramCommand, program_of

EPILOG = """\b
Examples:
  livegrad treat train.py --epochs 3            what ails it, what cures it, proven on 3 seeds
  livegrad treat --write train.py               shows the winner as a diff of train.py, and asks
  livegrad treat --try init --try skip,init -m package.train
  livegrad treat --resume livegrad-runs/treat-train-20250131-094500

The program is run several times, with and without remedies, each time with other seeds, in processes of its
own; what it writes, it writes each time. The same command again goes on where an interrupted one stopped,
and shows a finished result once more; --fresh begins anew.
"""


@click.command(
    cls=ProgramCommand,
    epilog=EPILOG,
    options_metavar="[OPTIONS]",
    short_help="Remedies tried on a script, beside doing nothing; the winner as a diff.",
)
@click.option("-m", "module", metavar="MODULE", help="Treat a module as `python -m MODULE` runs it.")
@click.option("-c", "code", metavar="CODE", help="Treat code given as text, as `python -c CODE` does.")
@click.option("--minutes", metavar="M", type=click.FloatRange(0, min_open=True),
              help="For all runs together; sets the steps of each.  [default: 5]")  # fmt: skip
@click.option("--steps", metavar="N", type=click.IntRange(min=1),
              help="Optimizer steps of every run, whatever they take.")  # fmt: skip
@click.option("--seeds", metavar="N", type=click.IntRange(min=1),
              help="Runs of every arm, the first with the program's own seeds.  [default: 3]")  # fmt: skip
@click.option("--arms", metavar="N", type=click.IntRange(min=1),
              help="Prescribed remedies to try; the next where none helps.  [default: 3]")  # fmt: skip
@click.option("--try", "tried", metavar="REMEDIES", multiple=True,
              help="Try this, not what is prescribed: init=he,clip. May be given again.")  # fmt: skip
@click.option("--jobs", metavar="N", type=click.IntRange(min=1),
              help="Runs at once.  [default: one per core, or per GPU]")  # fmt: skip
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
              help="Where runs run: on this machine, or on a Ray cluster.")  # fmt: skip
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Folder that the trial's folder is made in.  [default: ./livegrad-runs]")  # fmt: skip
@click.option("--resume", metavar="DIR", type=click.Path(path_type=Path),
              help="Go on with the trial in this folder; needs no program.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew, whatever earlier trials found.")
@click.option("--diff", "only_diff", is_flag=True, help="Print the winner as a diff, and no more.")
@click.option("--write", is_flag=True, help="Show that diff and, after a question, change the source.")
@click.option("--yes", "-y", is_flag=True, help="With --write: do not ask.")
@click.option("--prove/--no-prove", "proves", default=True,
              help="With --write: run the changed program beside the trial.  [default: prove]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document on stdout.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
@click.option("--fail-on", type=click.Choice(["error", "warning"]),
              help="Exit with 3 if the program has such a finding and no remedy takes it away.")  # fmt: skip
@click.argument(
    "arguments", metavar="(SCRIPT | -m MODULE | -c CODE) [ARGS]...", nargs=-1, type=click.UNPROCESSED
)
def treat(
    module: str | None,
    code: str | None,
    minutes: float | None,
    steps: int | None,
    seeds: int | None,
    arms: int | None,
    tried: tuple[str, ...],
    jobs: int | None,
    engine: str,
    out: Path | None,
    resume: Path | None,
    fresh: bool,
    only_diff: bool,
    write: bool,
    yes: bool,
    proves: bool,
    as_json: bool,
    quiet: bool,
    fail_on: str | None,
    arguments: tuple[str, ...],
) -> Callable[[], None]:
    """Find the smallest change that makes a training program learn, and prove it beside doing nothing.

    SCRIPT is a file, or a folder or zip file with a __main__.py, as for python. What follows it belongs to
    the program.
    """
    from livegrad.cli.treated_script import TreatedScript, TreatOptions

    if as_json and (only_diff or write):
        raise click.UsageError("--json holds the diff already; leave out --diff and --write.")
    if write or only_diff:
        from livegrad.treat.rewrite.source import require_libcst

        require_libcst()  # rather than after minutes of runs
    program = None
    if resume is None or arguments or module or code:
        program = program_of("treat", module, code, arguments)
    options = TreatOptions(
        minutes=minutes, steps=steps, seeds=seeds, arms=arms, tried=specs_of(tried), jobs=jobs, engine=engine,
        out=out, resume=resume, fresh=fresh, only_diff=only_diff, write=write, yes=yes, proves=proves,
        as_json=as_json, quiet=quiet, fail_on=fail_on,
    )  # fmt: skip
    script = TreatedScript.prepare(program, options)
    return script.run


def specs_of(tried: tuple[str, ...]) -> tuple[str, ...]:
    """The remedies of `--try`, several in one separated by semicolons; UsageError for what cannot be read."""
    from livegrad.treat.choice import parse_choices, require_known

    specs = [parse_choices(part) for text in tried for part in text.split(";") if part.strip()]
    for choices in specs:
        require_known(choices)
    return tuple(",".join(map(str, choices)) for choices in specs)
