"""`livegrad guide`: the field guide in the terminal, or as a web site in a folder."""

from pathlib import Path

import click

EPILOG = """\b
Examples:
  livegrad guide                     what there is
  livegrad guide dying relu          a page, as `livegrad explain` shows it
  livegrad guide --html guide        the whole as a web site: then open guide/index.html
"""


@click.command(epilog=EPILOG, short_help="The field guide, in the terminal or as a web site.")
@click.argument("term", metavar="[CODE|TERM...]", nargs=-1)
@click.option("--html", "folder", metavar="DIR", type=click.Path(path_type=Path),
              help="Folder to write the site to; it is made if it is not there.")  # fmt: skip
@click.pass_context
def guide(context: click.Context, term: tuple[str, ...], folder: Path | None) -> None:
    """Show the field guide, or write it as a web site that needs no server and no network.

    The site has every page of `livegrad explain`, with a search that forgives typing errors, filters, a
    figure on each page and the graph of concepts.
    """
    if folder is None:
        from livegrad.cli.explain import explain

        context.invoke(explain, term=term, searched=False, listed=False, as_json=False)
        return
    if term:
        raise click.UsageError(f"--html writes the whole guide: leave out {' '.join(term)!r}")
    from livegrad.view.guide_site.site import write_site

    pages = write_site(folder)
    click.echo(f"{pages} pages. Open {folder / 'index.html'}")
