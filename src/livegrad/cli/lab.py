"""`livegrad lab`: textbook experiments on real data, with a figure at the end."""

import sys
from pathlib import Path

import click

from livegrad.errors import UsageError

EPILOG = """\b
Examples:
  livegrad lab                        the experiments there are
  livegrad lab depth --out depth.html
  livegrad lab rnn --quick
"""


@click.command(epilog=EPILOG, short_help="Textbook experiments on real data, with a figure.")
@click.argument("name", required=False)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Where the figure goes: .html, .png, .svg or .pdf.  [default: lab-NAME.html]")  # fmt: skip
@click.option("--quick", is_flag=True, help="Fewer points and steps, for a first look.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps, instead of the experiment's own.")
@click.option("--seed", default=0, show_default=True, help="Of weights and data.")
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON on stdout.")
def lab(
    name: str | None, out: Path | None, quick: bool, steps: int | None, seed: int, theme: str, as_json: bool
) -> None:
    """Run a textbook experiment on real digits or text, in seconds to minutes.

    Without NAME: the experiments there are.
    """
    from livegrad.lab.experiment import EXPERIMENTS, Settings, experiment

    if name is None:
        width = max(map(len, EXPERIMENTS))
        for known, words in EXPERIMENTS.items():
            click.echo(f"  {known:<{width}}  {words}")
        return
    run = experiment(name)
    place = out if out is not None else Path(f"lab-{name}.html")
    if not place.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {str(place.parent)!r} to write the figure to")
    from livegrad.cli.lab_screen import shown

    result = shown(name, run, Settings(seed, steps, quick))
    from livegrad.plot.paint import paint
    from livegrad.plot.saving import save

    save(paint(result.drawing, theme), place)
    if as_json:
        import json

        json.dump(result.to_dict(), sys.stdout, ensure_ascii=False, indent=2)
        click.echo()
    click.echo(f"figure: {place}", err=True)
