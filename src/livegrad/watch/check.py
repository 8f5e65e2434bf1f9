"""The stop of a check: once the first steps have been seen the program is ended, gently if it lets itself be.

It is raised from the hook after an optimizer step: see livegrad.watch.ending.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from livegrad.watch import patches
from livegrad.watch.backward_count import BackwardCount
from livegrad.watch.compilation import is_compiling
from livegrad.watch.ending import Ending
from livegrad.watch.session import Session

# Of several models some step less often than others (a critic's five steps for one of its generator).
PATIENCE = 6
# A model that was called but not trained may be next in turn, or be a teacher.
PATIENCE_FOR_STRANGERS = 2
# Gradients accumulated over so many passes are no optimizer step any more, but weights moved by hand.
BACKWARDS_WITHOUT_A_STEP = 300


class Stop:
    """Ends the program once every watched model has taken `steps` steps, each of them scanned.

    last_resort: called without arguments where the program does not end by itself, to say what was found and
    end the process; it must not return. after_step: called after each optimizer step with the models known
    so far. Nothing happens in processes that the program forks.
    """

    def __init__(
        self,
        session: Session,
        steps: int,
        last_resort: Callable[[], Any],
        after_step: Callable[[dict[int, torch.nn.Module]], None] | None = None,
    ) -> None:
        self._ending = Ending(lambda: session.finish(0, None), last_resort)
        self._session = session
        self._steps = steps
        self._told = after_step
        self._pid = os.getpid()
        self._taken = 0
        self._backwards = BackwardCount(self._after_backwards)
        patches.install(self._backwards)
        self._hook = register_optimizer_step_post_hook(self._after_step)

    @property
    def raised(self) -> int:
        """How often the program has been told to end."""
        return self._ending.raised

    def cancel(self) -> None:
        """Stop nothing any more."""
        self._hook.remove()
        patches.uninstall(self._backwards)
        self._ending.cancel()

    def _after_step(self, *_: Any) -> None:
        if os.getpid() != self._pid or is_compiling():
            return
        self._taken += 1
        if self._told is not None and not self.raised:
            self._told(self._session.models())
        if self.raised or self._seen_enough():
            self._ending.now()

    def _after_backwards(self, count: int) -> None:
        if not self._taken and count >= BACKWARDS_WITHOUT_A_STEP and os.getpid() == self._pid:
            self._ending.now()

    def _seen_enough(self) -> bool:
        if not self._session.active:
            return True
        counts = self._session.steps_taken()
        if not counts:
            return self._taken >= self._steps
        if max(counts) < self._steps:
            return False
        slowest = min(counts)
        if slowest < self._steps:
            return max(counts) >= PATIENCE * self._steps
        return not self._session.has_strangers() or max(counts) >= PATIENCE_FOR_STRANGERS * self._steps
