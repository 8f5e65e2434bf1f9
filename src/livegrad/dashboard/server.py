"""Serving: an address, who may ask, and a server that many threads answer for."""

import errno
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from livegrad.dashboard.access import Gate, is_loopback
from livegrad.dashboard.address import Address
from livegrad.dashboard.app import build
from livegrad.dashboard.shelf import TRIAL_FILE, Shelf
from livegrad.errors import RunError, UsageError
from livegrad.run.folder import DEFAULT_BASE, RUN_FILE


class _Quiet(WSGIRequestHandler):
    """Requests are not worth a line each."""

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def shelf_of(path: Path | None) -> Shelf:
    """Return the shelf of a folder of runs, of one run or of one treatment. Raises RunError where there is
    none.
    """
    base = Path(DEFAULT_BASE) if path is None else path
    if any((base / name).is_file() for name in (RUN_FILE, TRIAL_FILE)):
        return Shelf(base.resolve().parent, base.resolve().name)
    if not base.is_dir():
        raise RunError(
            f"there is no folder {str(base)!r}. Record a run first: livegrad run train.py (or name a folder)."
        )
    return Shelf(base)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; werkzeug's own way to say that it cannot is to end the process."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # create_server passes on the number of a name that is not known, which is negative, not its kind.
        unknown = (error.errno or 0) < 0 or error.errno == errno.EADDRNOTAVAIL
        next_ = (
            "Name an address of this machine: --host 127.0.0.1" if unknown else "Take any free port: --port 0"
        )
        why = str(error.strerror or error).partition(" (while")[0]
        raise UsageError(f"cannot listen on {host}:{port} ({why}). {next_}") from error


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
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        server = make_server(host, port, gate, threaded=True, request_handler=_Quiet, fd=listener.fileno())  # pyright: ignore[reportArgumentType]
    start = prefix
    if shelf.only is not None:
        page = "treatment" if shelf.treatment(shelf.only) is not None else "run"
        start = Address(page, shelf.only).path(prefix)
    # Everywhere is no address that a browser on another machine can open.
    name = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    asked = f"?token={token}" if token else ""
    ready(f"http://{name}:{port}{start}{asked}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
