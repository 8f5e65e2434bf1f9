"""What livegrad says while the user's program owns the process: lines on stderr that can never hurt it."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass
class Voice:
    """livegrad's lines on the process's own stderr, whatever the program made of `sys.stderr`.

    `quiet` keeps everything but warnings of livegrad's own failures to itself; `mute` (a rank that is not the
    first) keeps those too. Writing never raises.
    """

    quiet: bool = False
    mute: bool = False

    def say(self, line: str) -> None:
        """One line of news."""
        if not self.quiet:
            self._write(line)

    def warn(self, text: str) -> None:
        """One line about a failure of livegrad's own."""
        self._write(f"livegrad: warning: {' '.join(text.split())}")

    def hear(self, kind: str, message: Mapping[str, Any]) -> None:
        """Say what the recorder reports: "attached", "finding" or "warning"."""
        if kind == "warning":
            self.warn(str(message.get("text")))
        elif not (self.quiet or self.mute):
            from livegrad.view.console import attach_line, finding_line

            self._write((attach_line if kind == "attached" else finding_line)(message))

    def _write(self, line: str) -> None:
        if self.mute or sys.__stderr__ is None:
            return
        with suppress(OSError, ValueError):
            sys.__stderr__.write(line + "\n")
            sys.__stderr__.flush()
