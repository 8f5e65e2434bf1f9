"""One file of the user's, as bytes and as a tree that gives back the same bytes."""

import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livegrad.errors import UsageError

if TYPE_CHECKING:
    import libcst as cst

_LIBRARY = tuple(str(Path(p)) + "/" for p in {*sysconfig.get_paths().values()} if Path(p).name != "bin")


class CannotRewrite(Exception):
    """Why an edit cannot be made; a clause that stands behind a colon."""


@dataclass(frozen=True)
class Source:
    """path: absolute. raw: what is on disk."""

    path: Path
    raw: bytes

    @classmethod
    def read(cls, path: Path, root: Path) -> "Source":
        """Read a file of the project in `root`. Raises CannotRewrite for any other, and for what cannot be
        read.
        """
        if path.name.startswith("<") or path.suffix not in (".py", ".pyw", ""):
            raise CannotRewrite(f"{path.name} is no file of Python source")
        full = path.resolve() if path.is_absolute() else (root / path).resolve()
        if "site-packages" in full.parts or "dist-packages" in full.parts or _is_library(full, root):
            raise CannotRewrite(f"{full} belongs to an installed package")
        if not full.is_relative_to(root.resolve()):
            raise CannotRewrite(f"{full} lies outside {root.resolve()}")
        try:
            return cls(full, full.read_bytes())
        except OSError as error:
            raise CannotRewrite(f"{path} cannot be read ({error.strerror})") from error

    @cached_property
    def tree(self) -> "cst.Module":
        """The file parsed. Raises CannotRewrite where it is no Python that libcst knows."""
        cst = require_libcst()
        try:
            return cst.parse_module(self.raw)
        except (cst.ParserSyntaxError, UnicodeDecodeError, LookupError, SyntaxError) as error:
            raise CannotRewrite(f"{self.path.name} cannot be parsed ({error})") from error

    def bytes_of(self, tree: "cst.Module") -> bytes:
        """A changed tree in this file's encoding. Raises CannotRewrite if it does not compile."""
        raw = tree.bytes
        try:
            compile(raw, str(self.path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            raise CannotRewrite(f"what it would become does not compile ({error})") from error
        return raw

    def text(self, raw: bytes | None = None) -> str:
        """The file, or `raw` in its place, as text, every line ending kept."""
        return (self.raw if raw is None else raw).decode(self.tree.encoding)

    def encoded(self, diff: str) -> bytes:
        """A diff of this file in its encoding; what that cannot hold (in the file's name) in UTF-8."""
        try:
            return diff.encode(self.tree.encoding)
        except UnicodeEncodeError:
            return diff.encode("utf-8", "surrogateescape")


def _is_library(path: Path, root: Path) -> bool:
    """Of Python's own; a project may lie inside a folder of Python's, or the other way round."""
    found = str(path)
    return any(found.startswith(p) and not str(root.resolve()).startswith(p) for p in _LIBRARY)


def require_libcst() -> Any:
    """Import libcst. Raises UsageError with what to type if it is not installed."""
    try:
        import libcst
    except ImportError as error:
        raise UsageError(
            "writing changes into your source needs libcst: pip install 'livegrad[rewrite]'"
        ) from error
    return libcst
