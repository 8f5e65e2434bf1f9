"""Who may ask: the name that the browser asked for, the token, and the prefix behind a proxy.

A page of another site can make a browser send requests to 127.0.0.1, even read the answers if its own name is
made to point there (DNS rebinding). So a server on the loopback answers to the loopback's names only, and one
that is bound elsewhere answers to those who know its token.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

Answer = Callable[..., Any]
_COOKIE = "livegrad-token"
_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """A WSGI application around another: it lets those in who may.

    hosts: names besides the loopback's that the server answers to; ignored where a token is asked for. token:
    asked for once (?token=…), then kept in a cookie; None where the loopback is enough. prefix: the path
    before the server's own, "/" for none; requests are right with it (a proxy that passes it on) and without
    (one that strips it).
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], hosts: Iterable[str], token: str | None, prefix: str
    ) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._token = token
        # Cookies know no ports: servers on one machine keep theirs apart by name.
        self._cookie = f"{_COOKIE}-{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"
        self._prefix = prefix.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Answer) -> Iterable[bytes]:
        """Answer one request."""
        if self._token is None and not self._knows(environ.get("HTTP_HOST", "")):
            said = (
                "livegrad serve: unknown host. Start it with --allow-host NAME to answer to another name.\n"
            )
            return _refuse(start_response, "403 Forbidden", said)
        if self._token is not None and not self._is_known(environ):
            given = dict(parse_qsl(environ.get("QUERY_STRING", ""))).get("token", "")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                said = (
                    "livegrad serve: open the address with ?token=… that was printed where it was started.\n"
                )
                return _refuse(start_response, "401 Unauthorized", said)
            return self._welcome(environ, start_response)
        if environ.get("REQUEST_METHOD") == "POST" and _comes_from_elsewhere(environ):
            return _refuse(
                start_response, "403 Forbidden", "livegrad serve: asked by a page of another site.\n"
            )
        path = environ.get("PATH_INFO", "")
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"

        def answer(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, *_HEADERS], *more)

        return self._app(environ, answer)

    def _knows(self, header: str) -> bool:
        host = header.lower()
        name = host[: host.rfind(":")] if ":" in host and not host.endswith("]") else host
        return is_loopback(name) or name in self._hosts

    def _is_known(self, environ: dict[str, Any]) -> bool:
        try:
            cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(self._cookie)
        except CookieError:
            return False
        value = cookie.value if cookie is not None else ""
        return hmac.compare_digest(value.encode(), (self._token or "").encode())

    def _welcome(self, environ: dict[str, Any], start_response: Answer) -> Iterable[bytes]:
        """Keep the token in a cookie and lead to the same place without it."""
        left = urlencode([pair for pair in parse_qsl(environ.get("QUERY_STRING", "")) if pair[0] != "token"])
        path = "/" + environ.get("PATH_INFO", "/").lstrip("/\\")
        if self._prefix and not path.startswith(self._prefix):
            path = self._prefix + path
        cookie = f"{self._cookie}={self._token}; Path={self._prefix or '/'}; HttpOnly; SameSite=Strict"
        place = path + (f"?{left}" if left else "")
        start_response("303 See Other", [("Location", place), ("Set-Cookie", cookie), *_HEADERS])
        return [b""]


def _comes_from_elsewhere(environ: dict[str, Any]) -> bool:
    """Whether the browser says that a page of another origin asks; by no header that a proxy may change."""
    return environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none")


def _refuse(start_response: Answer, status: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, [*headers, *_HEADERS])
    return [body]
