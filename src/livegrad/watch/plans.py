"""Which optimizer trains what, kept up to date as the program adds parameters, optimizers and models."""

import threading
import weakref
from collections.abc import Sequence
from typing import Any

from livegrad.watch.plan import Plan
from livegrad.watch.subject import parameters_of
from livegrad.watch.subjects import SubjectTable

DISCOVERY_STEPS = 2
LONGEST_DISCOVERY = 12


class Plans:
    """The plans of all optimizers seen, by identity; optimizers are held weakly.

    `discovering` is true while module calls have to be watched to find out whose the parameters are: until
    every optimizer has taken two steps, or twelve steps have been taken in vain. With `only` given, other
    optimizers are not watched.
    """

    def __init__(self, table: SubjectTable, only: Sequence[Any]) -> None:
        self.table = table
        self.several = False
        self.discovering = True
        self._only = weakref.WeakSet(only) if only else None
        self._plans: dict[int, Plan] = {}
        self._steps_left = LONGEST_DISCOVERY
        self._lock = threading.Lock()

    def known(self, optimizer: Any) -> Plan | None:
        """The plan of `optimizer` if it is still right as far as a glance can tell."""
        plan = self._plans.get(id(optimizer))
        if plan is None or plan.optimizer() is not optimizer or plan.groups != len(optimizer.param_groups):
            return None
        return plan if plan.complete or not self.discovering else None

    def is_watched(self, optimizer: Any) -> bool:
        return self._only is None or optimizer in self._only

    def make(self, optimizer: Any) -> Plan:
        """Plan anew: the optimizer is new, has other parameters than before, or its model was not known."""
        with self._lock:
            old = self._plans.get(id(optimizer))
            plan = self.table.plan(optimizer)
            if old is not None and old.optimizer() is optimizer:
                plan.cycle, plan.steps, plan.pulses = old.cycle, old.steps, old.pulses
            self._plans[id(optimizer)] = plan
            self.several = len(self._plans) > 1
            if plan.parts and not plan.complete and not plan.steps:
                self.discovering, self._steps_left = True, LONGEST_DISCOVERY
            return plan

    def step_taken(self) -> None:
        """Count a step; ends the discovery when there is nothing more to learn."""
        self._steps_left -= 1
        plans = [plan for plan in self._plans.values() if plan.parts]
        learned = all(plan.complete and plan.steps >= DISCOVERY_STEPS for plan in plans)
        self.discovering = self._steps_left > 0 and not learned


def is_stale(plan: Plan, optimizer: Any) -> bool:
    """Whether the optimizer's parameters are no longer those planned."""
    return plan.key != tuple(map(id, parameters_of(optimizer)))
