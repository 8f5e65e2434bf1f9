"""What one console can show: its signs, and the meaning of its colours."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livegrad.view.text import clean, encodable, shorten

if TYPE_CHECKING:
    from rich.console import Console

# Each colour repeats what a word on the same line says; none carries meaning alone.
STYLES = {
    "unwell": "bold red",
    "error": "bold red",
    "warning": "bold yellow",
    "info": "bold cyan",
    "healthy": "bold cyan",
    "name": "bold",
    "dim": "dim",
    "command": "cyan",
}


@dataclass(frozen=True)
class Ink:
    """The signs of one console.

    Attributes:
        encoding: of the console's file.
        unicode: whether block characters and typographic signs can be used.
    """

    encoding: str = "utf-8"

    @classmethod
    def of(cls, console: "Console") -> "Ink":
        return cls(console.encoding)

    @classmethod
    def of_stderr(cls) -> "Ink":
        return cls(getattr(sys.stderr, "encoding", None) or "utf-8")

    @property
    def unicode(self) -> bool:
        return self.encoding.lower().replace("_", "-").startswith("utf")

    def text(self, value: object) -> str:
        """Return `value` as one line that this console can print and that cannot command the terminal."""
        return encodable(clean(value), self.encoding)

    def short(self, value: object, width: int) -> str:
        """Return `value` as `text` does, at most `width` cells wide."""
        return shorten(self.text(value), max(width, 1), "…" if self.unicode else "..")

    def paragraph(self, value: Any) -> str:
        """Return a text of the document as one line; line breaks in it become spaces."""
        return self.text(" ".join(str(value or "").split()))

    @property
    def marks(self) -> dict[str, str]:
        if self.unicode:
            return {"error": "✗", "warning": "▲", "info": "·"}
        return {"error": "x", "warning": "!", "info": "-"}
