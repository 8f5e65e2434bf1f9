"""What an address of the dashboard says, and the address of what is shown: links reproduce a view."""

from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, unquote, urlencode

_KEYS = ("subject", "layer", "show", "a", "b")


@dataclass(frozen=True)
class Address:
    """page: "runs", "run", "compare" or "treatment". id: of the run or treatment. subject, layer: what is
    opened. show: which heat map. a, b: the runs compared.
    """

    page: str = "runs"
    id: str = ""
    subject: str = ""
    layer: str = ""
    show: str = ""
    a: str = ""
    b: str = ""

    @classmethod
    def read(cls, pathname: str | None, search: str | None, prefix: str = "/") -> "Address":
        """Read the address in the browser's bar; what cannot be read is the list of runs."""
        path = (pathname or "/").removeprefix(prefix.rstrip("/")).strip("/")
        page, _, id = path.partition("/")
        asked = parse_qs((search or "").lstrip("?"))
        given = {key: asked[key][0] for key in _KEYS if asked.get(key)}
        if page not in ("run", "compare", "treatment"):
            return cls()
        return cls(page, unquote(id), **given)

    def path(self, prefix: str = "/") -> str:
        """The address's path, as a link within the dashboard."""
        start = prefix.rstrip("/") + "/"
        if self.page == "runs":
            return start
        return start + self.page + (f"/{quote(self.id, errors='replace')}" if self.id else "")

    def search(self) -> str:
        """The rest of the address, with its "?"; empty where nothing is opened."""
        given = {key: getattr(self, key) for key in _KEYS if getattr(self, key)}
        return f"?{urlencode(given, errors='replace')}" if given else ""

    def link(self, prefix: str = "/") -> str:
        """The whole address."""
        return self.path(prefix) + self.search()

    def but(self, **changed: str) -> "Address":
        """The same with some of it changed."""
        return replace(self, **changed)
