"""When to record: dense at first, then as often as the budget pays for, and at once when something changes.

Pure bookkeeping: time comes in as numbers, so a test needs no clock.
"""

import math
from collections import deque
from dataclasses import dataclass

FIRST_PULSES = 20
FIRST_SCANS = (0, 10, 30, 100)
PULSE_GROWTH = 10 ** (1 / 16)
PULSE_SHARE = 0.6
ROWS_PER_OCTAVE = 1500
ALARM_PULSES = 20
SCAN_INTERVAL = 60.0


@dataclass(frozen=True)
class Decision:
    """What to do on one step."""

    pulse: bool
    scan: bool


NOTHING = Decision(False, False)


@dataclass
class Purse:
    """A share of wall time that may be spent, in seconds; savings are capped so that quiet times buy no
    burst.
    """

    rate: float
    cap: float
    saved: float = 0.0
    filled: float | None = None

    def fill(self, now: float, earn: bool) -> None:
        """Earn for the time since the last call, or only take note of the time."""
        if earn and self.filled is not None:
            self.saved = min(self.saved + self.rate * (now - self.filled), self.cap)
        self.filled = now

    def affords_at(self, cost: float) -> float:
        """The time from which on `cost` is affordable, if nothing else is bought."""
        if self.filled is None:
            return math.inf
        # A price above the cap would never be met: then a full purse is enough, and the debt is paid off
        # after.
        missing = min(cost, self.cap) - self.saved
        return self.filled + missing / self.rate if missing > 0 else self.filled

    def pay(self, cost: float) -> None:
        self.saved -= cost


class Schedule:
    """Decides for one subject, step by step.

    budget: the share of wall time all recording after the first steps may cost. every: record a pulse each
    N steps whatever it costs; scans stay on the budget. The first 20 pulses and the scans at steps 0, 10,
    30 and 100 are not charged: short runs must be seen too, and what they cost is reported.

    Later pulses are also thinned in proportion to the step number (1500 a doubling), so that a run's files
    grow with the logarithm of its length; but 16 in each decade of steps are taken on credit if need be.
    Later scans come at steps 316, 1000, 3162, … and at least each minute, where the budget allows.
    """

    def __init__(self, budget: float = 0.01, every: int | None = None) -> None:
        self.every = every
        self._budget = budget
        self._pulses = Purse(budget * PULSE_SHARE, 1.0)
        self._scans = Purse(budget * (1 - PULSE_SHARE), 60.0)
        self._pulse_cost = 0.0
        self._scan_cost = 0.0
        self._pulse_step = 0
        self._pulse_time = 0.0
        self._owed_pulse = 0.0
        self._scan_step = 0
        self._scan_time = 0.0
        self._late = math.inf
        self._alarm = 0
        self._scan_asked = False
        self._retry = False

    def share(self, part: float) -> None:
        """Live on this part of the budget from now on; other subjects live on the rest."""
        self._pulses.rate = self._budget * PULSE_SHARE * part
        self._scans.rate = self._budget * (1 - PULSE_SHARE) * part

    def decide(self, step: int, now: float) -> Decision:
        """Say what to record on `step`; `now` is seconds on any clock. Call once a step, in order."""
        scan = (step >= self._scan_step or now >= self._late or self._scan_asked) and now >= self._scan_time
        if self._retry or scan:
            return self._decide(step, now)
        if step < FIRST_PULSES or (self.every is not None and step % self.every == 0):
            return self._decide(step, now)
        if self.every is None and step >= self._pulse_step:
            paid = now >= self._pulse_time or step >= self._owed_pulse
            return self._decide(step, now) if paid else NOTHING
        return NOTHING

    def _decide(self, step: int, now: float) -> Decision:
        """Take the closer look that `decide` avoids on most steps."""
        for purse in (self._pulses, self._scans):
            purse.fill(now, earn=step > FIRST_PULSES)
        scan = self._wants_scan(step, now)
        pulse = scan or self._wants_pulse(step, now)
        if pulse:
            self._alarm = max(0, self._alarm - 1)
            self._owed_pulse = PULSE_GROWTH * step
            self._pulse_step = step + 1 if self._alarm else step + max(1, step // ROWS_PER_OCTAVE)
        self._look_ahead()
        return Decision(pulse, scan)

    def paid(self, pulse: float = 0.0, scan: float = 0.0, beside: float = 0.0, first: bool = False) -> None:
        """Report what a pulse or a scan cost, in seconds, and what else was spent `beside`.

        `first` costs set the price but are not charged.
        """
        if pulse:
            self._pulse_cost = pulse if not self._pulse_cost else 0.8 * self._pulse_cost + 0.2 * pulse
            if not first:
                self._pulses.pay(pulse + beside)
        if scan:
            self._scan_cost = scan
            if not first:
                self._scans.pay(scan)
        self._look_ahead()

    def alarm(self, scan: bool = False) -> None:
        """Something changed: record the next steps densely, and scan soon if asked."""
        self._alarm = ALARM_PULSES
        self._pulse_step = 0
        self._scan_asked |= scan

    def scan_failed(self) -> None:
        """A scan came to nothing (no forward pass before the step): try again on the next step, whatever it
        costs.
        """
        self._retry = True

    def _look_ahead(self) -> None:
        """Work out when the next pulse and the next scan can be paid for."""
        self._pulse_time = self._pulses.affords_at(self._pulse_cost)
        free = self._scan_step in FIRST_SCANS
        self._scan_time = 0.0 if free else self._scans.affords_at(self._scan_cost)

    def _wants_pulse(self, step: int, now: float) -> bool:
        if step < FIRST_PULSES:
            return True
        if self.every is not None:
            return step % self.every == 0
        paid = now >= self._pulses.affords_at(self._pulse_cost) or step >= self._owed_pulse
        return paid and step >= self._pulse_step

    def _wants_scan(self, step: int, now: float) -> bool:
        due = step >= self._scan_step
        if self._retry or (due and self._scan_step in FIRST_SCANS):
            return self._start_scan(step, now)
        wanted = due or now >= self._late or self._scan_asked
        return wanted and now >= self._scans.affords_at(self._scan_cost) and self._start_scan(step, now)

    def _start_scan(self, step: int, now: float) -> bool:
        self._scan_asked = self._retry = False
        self._late = now + SCAN_INTERVAL
        if step >= self._scan_step:
            self._scan_step = next_scan(step)
        return True


def next_scan(step: int) -> int:
    """The next scheduled scan after one at `step`: 0, 10, 30, then 100, 316, 1000, …"""
    for first in FIRST_SCANS:
        if first > step:
            return first
    exponent = 2.0
    while round(10**exponent) <= step:
        exponent += 0.5
    return round(10**exponent)


class ChangeDetector:
    """Tells a jump in a positive series from its usual scatter: robust z of its logarithm, from median and
    MAD.

    A value is a spike when it lies over `threshold` robust standard deviations above the median of the last
    64 and over `factor` times that median. The first 20 values teach only.
    """

    def __init__(self, threshold: float = 6.0, factor: float = 3.0) -> None:
        self._threshold = threshold
        self._factor = math.log(factor)
        self._recent: deque[float] = deque(maxlen=64)
        self._limit = math.inf
        self._fresh = 0

    def spike(self, value: float) -> bool:
        """Take in the next value and say whether it is a spike.

        Values that are not positive and finite are skipped.
        """
        if not 0.0 < value < math.inf:
            return False
        found = value > self._limit
        self._recent.append(value)
        self._fresh += 1
        # Sorting 64 numbers on each step would cost more than all else that an ordinary step does.
        if self._fresh >= 64 or len(self._recent) == 20:
            self._fresh = 0
            self._renew()
        return found

    def _renew(self) -> None:
        if len(self._recent) >= 20:
            ordered = sorted(math.log(x) for x in self._recent)
            median = ordered[len(ordered) // 2]
            deviations = sorted(abs(x - median) for x in ordered)
            spread = 1.4826 * deviations[len(deviations) // 2]
            self._limit = math.exp(min(median + max(self._factor, self._threshold * spread), 700.0))
