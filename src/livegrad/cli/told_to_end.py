"""A child of a trial that is told to end (SIGTERM) ends as a program does that took its last step: its
finally blocks and exit callbacks run, so what it made for itself (workers, temporary folders) goes with it.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any

from livegrad.watch.enough import EnoughSteps

TERMINATED = 143


class ToldToEnd(EnoughSteps):
    """Nobody wants the rest of this run."""

    exit_code = TERMINATED


class GentleEnd:
    """Makes SIGTERM an exception of this process from now on; of its forked children it stays what it is.

    told: whether it came.
    """

    def __init__(self) -> None:
        self.told = False
        self._pid = os.getpid()
        with suppress(ValueError, OSError):  # in another thread than the first
            signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, _: Any) -> None:
        if os.getpid() != self._pid:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if not self.told:  # a second one does not disturb what the first has begun
            self.told = True
            raise ToldToEnd
