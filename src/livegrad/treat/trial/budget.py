"""What a trial may cost: seconds for the control, steps for every run, seeds, and how many run at once."""

import math
import os
from dataclasses import dataclass

MINUTES = 5.0
SEEDS = 3
ARMS = 3
# Seeds are added up to this number where an arm is undecided and time is left.
MOST_SEEDS = 5
# Under so few steps nothing can be said of learning.
FEWEST_STEPS = 100
# Importing torch and reading the data, in every run: what a short script takes before its first step.
STARTING = 6.0


@dataclass(frozen=True)
class Budget:
    """minutes: of the whole trial, roughly. steps: of every run; None: as the control takes in its share of
    the minutes, and never more than the script's own. seeds: repetitions of every arm. arms: proposals that
    are tried. jobs: runs at once. threads: of each.
    """

    minutes: float = MINUTES
    steps: int | None = None
    seeds: int = SEEDS
    arms: int = ARMS
    jobs: int = 1
    threads: int = 1

    def control_seconds(self) -> float:
        """Seconds of training that the first control may take, so that all runs fit into the minutes.

        The control runs alone, then `arms` arms and the control's other seeds share the jobs.
        """
        others = self.arms * self.seeds + self.seeds - 1
        rounds = 1 + math.ceil(others / self.jobs)
        return max(1.0, self.minutes * 60 / rounds - STARTING)


def patience_for(minutes: float) -> float:
    """Return the seconds that trying on copies may take before the arms: a quarter of the whole, 15 to 180. A
    first arm that is the right one is worth more than steps of several that are not.
    """
    return min(180.0, max(15.0, 15 * minutes))


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def share(jobs: int | None, devices: int = 0, available: int | None = None) -> tuple[int, int]:
    """Return (jobs at once, threads of each) for a machine.

    On accelerators one run per device, for two on one distort each other's times and may not fit; otherwise
    one per core, because nets in a trial seldom keep several threads busy.
    """
    available = cores() if available is None else available
    jobs = jobs or devices or available
    return jobs, max(1, available // jobs)
