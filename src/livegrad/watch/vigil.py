"""Forensics on each step, as far as the budget pays for it."""

import math
import time
from typing import Any

from livegrad.watch.forensics import Forensics
from livegrad.watch.plan import Plan
from livegrad.watch.toll import Toll

clock = time.perf_counter
SHARE = 0.5
# With one model and a plain loss it costs 10 to 30 µs, on a busy machine more. A NaN on a step that nobody
# watched cannot be traced afterwards, so this much is spent on the shortest steps too.
PETTY = 60e-6


class Vigil:
    """Passes the events of a step on to `forensics` while that can be afforded.

    It rests on steps too short to pay for it, once the opening is over, unless it costs next to nothing, and
    is woken for some steps when something changes. A loss that is not finite is passed on always.
    """

    def __init__(self, forensics: Forensics, budget: float) -> None:
        self.forensics = forensics
        self._toll = Toll(SHARE * budget, PETTY)
        self._calls = 0.0

    def before_backward(self, roots: Any, value: float | None, inside_step: bool) -> None:
        """A backward pass is about to run; value: its loss where that is known."""
        if self._toll.awake or (value is not None and not math.isfinite(value)):
            begun = clock()
            self.forensics.before_backward(roots, value, inside_step)
            self._toll.pay(clock() - begun)

    def before_step(self, plan: Plan | None, optimizer: Any, scaler: Any) -> bool:
        """An optimizer is about to step; True if its gradient is found not to be finite."""
        if not self._toll.awake:
            return False
        begun = clock()
        broken = self.forensics.before_step(plan, optimizer, scaler)
        self._toll.pay(clock() - begun)
        return broken

    def step_over(self, opening: bool) -> None:
        """The step has been taken: does this go on?"""
        calls, self._calls = self.forensics.calls_cost - self._calls, self.forensics.calls_cost
        self._toll.pay(calls)
        if self._toll.awake:
            self.forensics.after_step()
        if self._toll.step_over(clock(), opening):
            self.forensics.rest(not self._toll.awake)

    def wake(self) -> None:
        """Something has changed: go on for the next steps, whatever they cost."""
        if not self._toll.awake:
            self.forensics.rest(False)
        self._toll.alarm()
