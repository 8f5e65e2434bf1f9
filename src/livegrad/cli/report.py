"""`livegrad report`: what a recorded run says, on the screen, as HTML, as JSON or as GitHub annotations."""

from __future__ import annotations

import sys
from pathlib import Path

import click

EPILOG = """\b
Examples:
  livegrad report                                    the newest run under ./livegrad-runs
  livegrad report livegrad-runs/20250131-094500-train --html report.html
  livegrad report --json | jq .findings[].message
  livegrad report --github --fail-on error           in a GitHub workflow
"""


@click.command(epilog=EPILOG, short_help="What a recorded run says: screen, HTML, JSON, GitHub.")
@click.argument("path", metavar="[RUN]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="Write one HTML file that needs nothing else.")  # fmt: skip
@click.option("--force", is_flag=True, help="With --html: overwrite FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
@click.option("--github", is_flag=True, help="Print GitHub workflow annotations, one per finding.")
@click.option("--fail-on", type=click.Choice(["error", "warning"]), help="Exit with 3 on such a finding.")
def report(
    path: Path | None, page: Path | None, force: bool, as_json: bool, github: bool, fail_on: str | None
) -> None:
    """Say what a recorded run shows: where gradients vanish or explode, and why.

    RUN is a run folder, or a folder of runs, of which the newest is taken. A run that still trains can be
    asked too.
    """
    import livegrad
    from livegrad.cli.exit_code import FindingsExit, fails
    from livegrad.cli.find_run import find_run

    _check(page, force, as_json, github)
    run = livegrad.load(find_run(path))
    result = run.report()
    document = result.to_dict()
    if page is not None:
        _write_page(run, document, page)
    elif as_json:
        from livegrad.cli.json_output import write_json

        write_json(result, sys.stdout)
    elif github:
        from livegrad.view.github import annotations

        for line in annotations(document):
            click.echo(line)
    else:
        from livegrad.cli.own_console import own_console
        from livegrad.view.console import render_report

        render_report(document, own_console(stderr=False))
    if fails(document, fail_on):
        raise FindingsExit


def _check(page: Path | None, force: bool, as_json: bool, github: bool) -> None:
    asked = [name for name, given in (("--html", page), ("--json", as_json), ("--github", github)) if given]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} exclude each other; ask for one at a time.")
    if page is not None and page.exists() and not force:
        raise click.UsageError(
            f"{str(page)!r} exists and is not overwritten. Add --force, or name another file."
        )


def _write_page(run, document: dict, page: Path) -> None:
    from livegrad.errors import UsageError
    from livegrad.view.html import write_report

    try:
        write_report(run, document, page)
    except OSError as error:
        raise UsageError(
            f"cannot write {str(page)!r}: {error.strerror}. Name a file in a folder you can write to."
        ) from error
    click.echo(f"livegrad: wrote {page}", err=True)
