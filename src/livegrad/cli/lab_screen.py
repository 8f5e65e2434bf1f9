"""An experiment on the terminal: a bar while it runs, a table and a sentence at its end, all on stderr."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from livegrad.cli.own_console import own_console

if TYPE_CHECKING:
    from livegrad.lab.experiment import Result, Settings


def shown(name: str, run: "Callable[..., Result]", settings: "Settings") -> "Result":
    """Run an experiment, show how far it is, and print what it found."""
    console = own_console(stderr=True)
    columns = (
        TextColumn(f"lab {name}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        result = run(settings, lambda share, words: bar.update(task, completed=share, description=words))
    table = Table(title=result.drawing.title, title_justify="left", box=None, pad_edge=False)
    for number, head in enumerate(result.heads):
        words = all(isinstance(row[number], str) for row in result.rows)
        table.add_column(head, justify="left" if words else "right")
    for row in result.rows:
        table.add_row(*(value if isinstance(value, str) else f"{value:g}" for value in row))
    console.print(table)
    console.print(f"\n{result.said}", highlight=False)
    return result
