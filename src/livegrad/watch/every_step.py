"""The schedule of a check: each step is recorded and scanned, whatever it costs."""

from livegrad.watch.options import WatchOptions
from livegrad.watch.schedule import Decision, Schedule


class EveryStep(Schedule):
    """Records and scans each step."""

    def decide(self, step: int, now: float) -> Decision:
        """Record and scan."""
        return Decision(pulse=True, scan=True)


def schedule_for(options: WatchOptions) -> Schedule:
    """A new subject's schedule."""
    return EveryStep() if options.every_scan else Schedule(options.budget, options.every)
