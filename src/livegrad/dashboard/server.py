"""Serving: an address, who may ask, and a server that many threads answer for."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from livegrad.dashboard.access import Gate, is_loopback
from livegrad.dashboard.address import Address
from livegrad.dashboard.app import build
from livegrad.dashboard.shelf import Shelf
from livegrad.errors import RunError, UsageError
from livegrad.run.folder import DEFAULT_BASE, RUN_FILE


class _Quiet(WSGIRequestHandler):
    """Requests are not worth a line each."""

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def shelf_of(path: Path | None) -> Shelf:
    """Return the shelf of a folder of runs, or of one run. Raises RunError where there is neither."""
    base = Path(DEFAULT_BASE) if path is None else path
    if (base / RUN_FILE).is_file():
        return Shelf(base.resolve().parent, base.resolve().name)
    if not base.is_dir():
        raise RunError(
            f"there is no folder {str(base)!r}. Record a run first: livegrad run train.py (or name a folder)."
        )
    return Shelf(base)


def serve(
    path: Path | None,
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    prefix: str = "/",
    token: str | None = None,
    allowed: Sequence[str] = (),
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the runs under `path` (None: ./livegrad-runs) until Ctrl-C.

    host: where to listen; anywhere but on the loopback a token is asked for, made up if none is given. port:
    0 for any that is free. prefix: path before the dashboard's own, behind a proxy. allowed: further names to
    answer to. ready: hears the address to open.

    Raises UsageError where the port is taken or the prefix is no path.
    """
    if not prefix.startswith("/"):
        raise UsageError(f"a prefix is a path: --prefix /{prefix}")
    prefix = prefix.rstrip("/") + "/"
    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(16)
    shelf = shelf_of(path)
    gate = Gate(build(shelf, prefix), allowed, token, prefix)
    try:
        server = make_server(host, port, gate, threaded=True, request_handler=_Quiet)  # pyright: ignore[reportArgumentType]
    except (OSError, SystemExit) as error:
        raise UsageError(
            f"cannot listen on {host}:{port}. Choose another port: --port 0 takes any."
        ) from error
    start = Address("run", shelf.only).path(prefix) if shelf.only else prefix
    name = f"[{host}]" if ":" in host else host
    asked = f"?token={token}" if token else ""
    ready(f"http://{name}:{server.server_port}{start}{asked}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
