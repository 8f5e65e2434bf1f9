"""`livegrad guide`: the field guide as a web site in a folder."""

from pathlib import Path

import click

EPILOG = """\b
Examples:
  livegrad guide --html guide        then open guide/index.html
  livegrad explain LG101             the same pages in the terminal
"""


@click.command(epilog=EPILOG, short_help="Write the field guide as a web site.")
@click.option("--html", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path),
              help="Folder to write the site to; it is made if it is not there.")  # fmt: skip
def guide(folder: Path) -> None:
    """Write the field guide as a web site that needs no server and no network.

    Every page of `livegrad explain`, with a search that forgives typing errors, filters, a figure on each
    page and the graph of concepts.
    """
    from livegrad.view.guide_site.site import write_site

    pages = write_site(folder)
    click.echo(f"{pages} pages. Open {folder / 'index.html'}")
