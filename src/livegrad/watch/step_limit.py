"""Ends a program after so many optimizer steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from livegrad.watch.compilation import is_compiling
from livegrad.watch.ending import Ending
from livegrad.watch.nesting import running_steps
from livegrad.watch.session import Session


class StepLimit:
    """Ends the program when one of its models has taken `steps` steps.

    Counted are the steps of the model that takes most, as the session counts them; of the busiest optimizer
    where it watches no more. last_resort: see livegrad.watch.ending.Ending. To be made after the session.
    """

    def __init__(self, session: Session | None, steps: int, last_resort: Callable[[], Any]) -> None:
        self._session = session
        self._steps = steps
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
        if self.reached or max(counts, default=0) >= self._steps:
            self._ending.now()

    def _finish(self) -> None:
        if self._session is not None:
            self._session.finish(0, None)
