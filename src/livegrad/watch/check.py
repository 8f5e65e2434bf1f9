"""The stop of a check: once the first steps have been seen the program is ended, gently if it lets itself be.

The stop is an exception that only `except BaseException` catches, raised from the hook after an optimizer
step, so that what the program does on its way out (finally blocks, data loaders, atexit) is done. A program
that goes on training all the same is stopped again, and in the end its process is ended.
"""

import os
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from livegrad.watch import patches
from livegrad.watch.backward_count import BackwardCount
from livegrad.watch.compilation import is_compiling
from livegrad.watch.enough import EnoughSteps
from livegrad.watch.session import Session

# Of several models some step less often than others (a critic's five steps for one of its generator).
PATIENCE = 6
# A model that was called but not trained may be next in turn, or be a teacher.
PATIENCE_FOR_STRANGERS = 2
SWALLOWED_STOPS = 3
GRACE_SECONDS = 30.0
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
        self.raised = 0
        self._session = session
        self._steps = steps
        self._last_resort = last_resort
        self._told = after_step
        self._pid = os.getpid()
        self._taken = 0
        self._backwards = BackwardCount(self._after_backwards)
        patches.install(self._backwards)
        self._hook = register_optimizer_step_post_hook(self._after_step)
        self._report_of_threads = threading.excepthook
        threading.excepthook = self._silently

    def cancel(self) -> None:
        """Stop nothing any more."""
        self._hook.remove()
        patches.uninstall(self._backwards)
        threading.excepthook = self._report_of_threads

    def _after_step(self, *_: Any) -> None:
        if os.getpid() != self._pid or is_compiling():
            return
        self._taken += 1
        if self._told is not None and not self.raised:
            self._told(self._session.models())
        if self.raised or self._seen_enough():
            self._end()

    def _after_backwards(self, count: int) -> None:
        if not self._taken and count >= BACKWARDS_WITHOUT_A_STEP and os.getpid() == self._pid:
            self._end()

    def _end(self) -> NoReturn:
        self.raised += 1
        if self.raised == 1:
            self._session.finish(0, None)
            self._wait_for_the_end()
        if self.raised > SWALLOWED_STOPS:
            self._last_resort()
        raise EnoughSteps

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

    def _wait_for_the_end(self) -> None:
        """A program that hangs on its way out is not waited for longer than GRACE_SECONDS."""
        timer = threading.Timer(GRACE_SECONDS, self._last_resort)
        timer.daemon = True
        timer.start()

    def _silently(self, args: Any) -> None:
        """A thread of the program's that was stopped has no error to print."""
        if args.exc_type is not EnoughSteps:
            self._report_of_threads(args)
