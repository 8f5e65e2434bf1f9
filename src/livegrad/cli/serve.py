"""`livegrad serve`: recorded and running trainings in the browser."""

from pathlib import Path

import click

EPILOG = """\b
Examples:
  livegrad serve                          the runs under ./livegrad-runs
  livegrad serve livegrad-runs/20260102-030405-train
  livegrad serve /shared/runs --host 0.0.0.0      asks for the token that it prints
  livegrad serve --prefix /proxy/8050/            behind a proxy, as in Jupyter
"""


@click.command(epilog=EPILOG, short_help="Look at runs in the browser, live.")
@click.argument("path", metavar="[RUN|DIR]", required=False, type=click.Path(path_type=Path, readable=False))
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; elsewhere than here a token is asked for.")  # fmt: skip
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8050, show_default=True, help="0: any free one."
)
@click.option(
    "--prefix", metavar="PATH", default="/", help="Path before the dashboard's own, behind a proxy."
)
@click.option("--token", help="Ask for this token; by default one is made up where one is needed.")
@click.option("--allow-host", "allowed", metavar="NAME", multiple=True, help="Answer to this name as well.")
def serve(
    path: Path | None, host: str, port: int, prefix: str, token: str | None, allowed: tuple[str, ...]
) -> None:
    """Serve the runs of a folder: findings, figures and layers, following those that train."""
    try:
        from livegrad.dashboard.server import serve as start
    except ModuleNotFoundError as error:
        if error.name not in ("dash", "flask", "werkzeug"):
            raise
        raise click.ClickException("the dashboard needs dash. Type: pip install 'livegrad[view]'") from error

    def ready(address: str) -> None:
        click.echo(f"livegrad: open {address}   (Ctrl-C ends)", err=True)

    start(path, host=host, port=port, prefix=prefix, token=token, allowed=allowed, ready=ready)
