"""What livegrad says while the user's program owns the process: lines on stderr that can never hurt it."""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass
class Voice:
    """livegrad's lines on the process's own stderr, whatever the program made of `sys.stderr`.

    `quiet` keeps everything but warnings of livegrad's own failures to itself; `mute` (a rank that is not the
    first) keeps those too. `warned`: whether a warning was given. Writing never raises.
    """

    quiet: bool = False
    mute: bool = False
    warned: bool = False

    def say(self, line: str) -> None:
        """One line of news."""
        if not self.quiet:
            self._write(line)

    def warn(self, text: str) -> None:
        """One line about a failure of livegrad's own."""
        self.warned = True
        self._write(f"livegrad: warning: {' '.join(text.split())}")

    def fail(self, text: str) -> None:
        """One line about why what was asked for cannot be done."""
        self.warned = True
        self._write(f"livegrad: error: {' '.join(text.split())}")

    def hear(self, kind: str, message: Mapping[str, Any]) -> None:
        """Say what the recorder reports: "attached", "finding" or "warning"."""
        if kind == "warning":
            self.warn(str(message.get("text")))
        elif not (self.quiet or self.mute):
            from livegrad.view.console import attach_line, finding_line

            self._write((attach_line if kind == "attached" else finding_line)(message))

    def _write(self, line: str) -> None:
        stream = _stream()
        if self.mute or stream is None:
            return
        with suppress(Exception), _beside_progress_bars(stream):
            stream.write(line + "\n")
            stream.flush()


def _stream() -> TextIO | None:
    """The process's stderr; rich's stand-in for it while rich shows a progress bar there."""
    if type(sys.stderr).__module__ == "rich.file_proxy":
        return sys.stderr
    return sys.__stderr__


def _beside_progress_bars(stream: TextIO) -> AbstractContextManager[Any]:
    """Takes tqdm's bars off the screen for as long as something else is written there."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return nullcontext() if tqdm is None else tqdm.external_write_mode(file=stream)
