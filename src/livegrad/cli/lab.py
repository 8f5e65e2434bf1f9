"""`livegrad lab`: textbook experiments on real data, with a figure at the end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livegrad.errors import UsageError

if TYPE_CHECKING:
    from livegrad.lab.experiment import Result, Settings

EPILOG = """\b
Examples:
  livegrad lab                          the experiments there are
  livegrad lab depth --out depth.html
  livegrad lab rnn --quick
  livegrad lab skip clip --seeds 5 --save figures
  livegrad lab all --save docs/figures  every figure of the documentation
"""
_INTERRUPTED = 130


@click.command(epilog=EPILOG, short_help="Textbook experiments on real data, with a figure.")
@click.argument("names", metavar="[NAME...|all]", nargs=-1)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Where the figure goes: .html, .png, .svg or .pdf.  [default: lab-NAME.html]")  # fmt: skip
@click.option("--save", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="Write all figures there, light and dark, with figures.json about them.")  # fmt: skip
@click.option("--form", type=click.Choice(["svg", "png", "html"]), default="svg", show_default=True,
              help="Of the figures that --save writes.")  # fmt: skip
@click.option("--quick", is_flag=True, help="Fewer points, steps and seeds, for a first look.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps, instead of the experiment's own.")
@click.option("--seeds", type=click.IntRange(min=1), help="How many, instead of the experiment's own.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31),
              help="The first, of weights and data.")  # fmt: skip
@click.option("--theme", type=click.Choice(["light", "dark"]), default="light", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON on stdout.")
def lab(names: tuple[str, ...], out: Path | None, save: Path | None, form: str, theme: str, as_json: bool,
        **asked: Any) -> None:  # fmt: skip
    """Run textbook experiments on real digits or text, in seconds to minutes each.

    Without NAME: the experiments there are. With several, or all of them, --save says where figures go.
    Ctrl-C keeps what is finished.
    """
    from livegrad.lab.experiment import EXPERIMENTS, Settings, experiment

    if not names:
        width = max(map(len, EXPERIMENTS))
        for known, words in EXPERIMENTS.items():
            click.echo(f"  {known:<{width}}  {words}")
        return
    wanted = list(EXPERIMENTS) if names == ("all",) else list(dict.fromkeys(names))
    for name in wanted:
        experiment(name)
    place = _place(wanted, out, save, form)
    finished: list[dict[str, Any]] = []
    try:
        for name in wanted:
            result = _run(name, Settings(**asked), several=len(wanted) > 1)
            finished.append({"experiment": name} | result.to_dict())
            _write(name, result, place, save, form, theme, _command(name, asked))
    except KeyboardInterrupt:
        at = wanted[len(finished)] if len(finished) < len(wanted) else wanted[-1]
        kept = f" Kept: {', '.join(entry['experiment'] for entry in finished)}." if finished else ""
        hint = "" if asked["quick"] else " --quick takes fewer points and steps."
        click.echo(f"livegrad: interrupted in {at}, which wrote nothing.{kept}{hint}", err=True)
        sys.exit(_INTERRUPTED)
    if as_json:
        json.dump(finished[0] if len(wanted) == 1 else finished, sys.stdout, ensure_ascii=False, indent=2)
        click.echo()


def _place(wanted: list[str], out: Path | None, save: Path | None, form: str) -> Path:
    """Where a single figure goes. Raises UsageError before anything is run."""
    if out is not None and save is not None:
        raise UsageError("--out is for one figure and --save for all of them: give one of the two")
    if len(wanted) > 1 and save is None:
        raise UsageError(f"{len(wanted)} experiments write several figures. Say where to: --save DIR")
    place = out if out is not None else Path(f"lab-{wanted[0]}.html")
    from livegrad.plot.saving import check_form

    check_form(place if save is None else save / f"figure.{form}")
    if save is None and not place.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {str(place.parent)!r} to write the figure to")
    if save is not None:
        try:
            save.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot write to {str(save)!r}: {error.strerror}. Name another folder."
            ) from error
    return place


def _run(name: str, settings: Settings, several: bool) -> Result:
    from livegrad.cli.lab_screen import shown
    from livegrad.lab.experiment import experiment

    result = shown(name, experiment(name), settings)
    if several:
        click.echo(err=True)
    return result


def _write(
    name: str, result: Result, place: Path, save: Path | None, form: str, theme: str, command: str
) -> None:
    if save is not None:
        from livegrad.lab.figures import save_figures

        written = save_figures(name, result, save, form, command)
        click.echo(f"figures: {len(written)} files in {save}, named {name}…", err=True)
        return
    from livegrad.plot.paint import paint
    from livegrad.plot.saving import save as save_one

    save_one(paint(result.drawing, theme), place)
    click.echo(f"figure: {place}", err=True)
    if result.more:
        click.echo(f"        its {len(result.more)} other pictures are written by --save DIR", err=True)


def _command(name: str, asked: dict[str, Any]) -> str:
    """The command that makes these figures again."""
    given = [f"--{key} {value}" for key, value in asked.items() if value and value is not True]
    return " ".join(["livegrad lab", name, *(["--quick"] if asked["quick"] else []), *given])
