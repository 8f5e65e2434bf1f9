"""Ends a program after so many optimizer steps, or so many seconds of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Optional

from torch.optim.optimizer import register_optimizer_step_post_hook

from livegrad.watch.compilation import is_compiling
from livegrad.watch.ending import Ending
from livegrad.watch.nesting import running_steps
from livegrad.watch.session import Session

# Time does not end a program within its first steps: of fewer nothing can be said.
FEWEST_STEPS = 100


class StepLimit:
    """Ends the program when one of its models has taken `steps` steps, or `seconds` after the first of them.

    Counted are the steps of the model that takes most, as the session counts them; of the busiest optimizer
    where it watches no more. last_resort: see livegrad.watch.ending.Ending. before: called when it
    ends, while the session can still write. To be made after the session.
    """

    def __init__(
        self,
        session: Optional[Session],  # noqa: UP045 - pyright cannot close the circle of imports over `|`
        steps: int | None,
        last_resort: Callable[[], Any],
        seconds: float | None = None,
        before: Callable[[], Any] = lambda: None,
    ) -> None:
        self._session = session
        self._steps = steps
        self._seconds = seconds
        self._began: float | None = None
        self._before = before
        self._pid = os.getpid()
        self._counts: dict[int, int] = {}
        self._ending = Ending(self._finish, last_resort)
        self._hook = register_optimizer_step_post_hook(self._after_step)

    @property
    def reached(self) -> bool:
        """Whether the program was told to end."""
        return self._ending.raised > 0

    def cancel(self) -> None:
        """End nothing any more."""
        self._hook.remove()
        self._ending.cancel()

    def _after_step(self, optimizer: Any, *_: Any) -> None:
        if os.getpid() != self._pid or is_compiling() or running_steps() > 1:
            return
        self._counts[id(optimizer)] = self._counts.get(id(optimizer), 0) + 1
        session = self._session
        counts = self._counts.values()
        if session is not None and session.active:
            counts = session.steps_taken()
        if self.reached or self._is_enough(max(counts, default=0)):
            self._ending.now()

    def _is_enough(self, count: int) -> bool:
        if self._steps is not None and count >= self._steps:
            return True
        if self._seconds is None:
            return False
        now = time.monotonic()
        if self._began is None:
            self._began = now
        return count >= FEWEST_STEPS and now - self._began >= self._seconds

    def _finish(self) -> None:
        self._before()
        if self._session is not None:
            self._session.finish(0, None)
