"""Ending a program from a hook of its training: gently if it lets itself be ended, else at once.

The end is an exception that only `except BaseException` catches, so that what the program does on its way out
(finally blocks, data loaders, atexit) is done. A program that swallows it and goes on training is told again,
and in the end its process is ended.
"""

import threading
from collections.abc import Callable
from typing import Any, NoReturn

from livegrad.watch.enough import EnoughSteps

SWALLOWED_STOPS = 3
GRACE_SECONDS = 30.0


class Ending:
    """The end of a program, to be called for with `now` until it is over.

    first: called at the first `now`, before the program hears of it. last_resort: called without arguments
    where the program does not end by itself, to say what was found and end the process; it must not return.
    """

    def __init__(self, first: Callable[[], Any], last_resort: Callable[[], Any]) -> None:
        self.raised = 0
        self._first = first
        self._last_resort = last_resort
        self._report_of_threads = threading.excepthook
        threading.excepthook = self._silently

    def now(self, error: type[EnoughSteps] = EnoughSteps) -> NoReturn:
        """Raise the end."""
        self.raised += 1
        if self.raised == 1:
            self._first()
            self._wait_for_the_end()
        if self.raised > SWALLOWED_STOPS:
            self._last_resort()
        raise error

    def cancel(self) -> None:
        """End nothing any more."""
        if threading.excepthook == self._silently:
            threading.excepthook = self._report_of_threads

    def _wait_for_the_end(self) -> None:
        """A program that hangs on its way out is not waited for longer than GRACE_SECONDS."""
        timer = threading.Timer(GRACE_SECONDS, self._last_resort)
        timer.daemon = True
        timer.start()

    def _silently(self, args: Any) -> None:
        """A thread of the program's that was stopped has no error to print."""
        if not issubclass(args.exc_type, EnoughSteps):
            self._report_of_threads(args)
