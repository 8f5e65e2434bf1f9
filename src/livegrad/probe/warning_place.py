"""Where a warning comes from, while a function mode shows livegrad every operation.

Torch gives its warnings the place of the frame that called it. Under a function mode that is the mode's own
frame; plain Python would name the program's line, and would show a warning once for each such line. So while
the mode is on, a warning that names the mode's frame is issued again for the frame that ran the operation.
"""

import sys
import warnings
from types import CodeType, FrameType
from typing import Any

import torch.overrides

_OVERRIDES = torch.overrides.__file__


class WarningPlace:
    """Puts warnings that name `code`'s frame at the frame that called the operation, from start to stop.

    Filters are left alone, and so are other warnings. shown: the globals of the module of `code`, in which
    Python notes what it has shown for a line.
    """

    def __init__(self, code: CodeType, shown: dict[str, Any]) -> None:
        self._code, self._shown = code, shown
        self._before: Any = None

    def start(self) -> None:
        """Stand before whatever shows warnings."""
        self._before = warnings.showwarning
        warnings.showwarning = self._show

    def stop(self) -> None:
        """Step back, unless something else stands before this by now; then let everything through."""
        if warnings.showwarning == self._show:
            warnings.showwarning = self._before

    def _show(
        self, message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
    ) -> None:
        frame = self._caller() if filename == self._code.co_filename else None
        if frame is None:
            self._before(message, category, filename, lineno, file, line)
            return
        # Noted for the mode's own line, it would never be shown again, whatever line of the program it is of.
        self._shown.pop("__warningregistry__", None)
        warnings.warn_explicit(
            message, category, frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__"),
            frame.f_globals.setdefault("__warningregistry__", {}),
        )  # fmt: skip

    def _caller(self) -> FrameType | None:
        """The frame that called the operation that is running."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not self._code:
            frame = frame.f_back
        frame = None if frame is None else frame.f_back
        if frame is None or frame.f_code.co_filename != _OVERRIDES:
            return frame
        while frame is not None and frame.f_code.co_filename == _OVERRIDES:
            frame = frame.f_back
        # A function written in Python hands itself over, and is called again by the mode.
        return None if frame is None else frame.f_back
