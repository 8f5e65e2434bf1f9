"""When to record: dense at first, then as often as the budget pays for, and at once when something changes.

Pure bookkeeping: time comes in as numbers, so a test needs no clock.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from livegrad.watch.purse import Income, Purse

FIRST_PULSES = 20
FIRST_SCANS = (0, 10, 30, 100)
OPENING = FIRST_SCANS[-1] + 1
PULSE_GROWTH = 10 ** (1 / 16)
PULSE_SHARE = 0.6
RARE_SHARE = 0.5
ROWS_PER_OCTAVE = 1500
ALARM_PULSES = 20
SURPRISES = 8
SCAN_INTERVAL = 60.0


@dataclass(frozen=True)
class Decision:
    """What to do on one step."""

    pulse: bool
    scan: bool


NOTHING = Decision(False, False)


class Schedule:
    """Decides for one subject, step by step.

    budget: the share of wall time that all of livegrad may cost. every: record a pulse each N steps whatever
    it costs; all else stays on the budget. Set `rest` to what tells the seconds that all subjects together
    have spent so far on anything but pulses and scans.

    The opening (steps 0 to 100) is watched whatever it costs: 20 pulses and then 16 a decade of steps, and
    the scans at steps 0, 10, 30 and 100, because short runs must be judged too. It is a debt. After it, what
    the hooks and files cost is taken off the budget, half of what remains pays the debt back, and pulses and
    scans are taken when their price has been saved. So from the opening's end on no more than the budget is
    spent, and once the debt is paid no more than the budget over the whole run. Only where the hooks alone
    cost more than nine tenths of the budget does a tenth of it still go to records.

    While the debt is paid, a pulse is taken early if the last is 10^(1/16) times as many steps ago and half
    of what was earned since, debt or not, would pay for it. Later pulses are also thinned in proportion to
    the step number (1500 a doubling), so that a run's files grow with the logarithm of its length. Later
    scans come at steps 316, 1000, 3162, … and at least each minute, where the budget allows.
    """

    def __init__(self, budget: float = 0.01, every: int | None = None) -> None:
        self.every = every
        self._budget = budget
        self._part = 1.0
        self.rest: Callable[[], float] = lambda: 0.0
        self._rest_seen = 0.0
        self._income = Income(budget)
        self._pulses = Purse(PULSE_SHARE, 1.0)
        self._scans = Purse(1 - PULSE_SHARE, 60.0)
        self._fallow = 0.0
        self._pulse_cost = 0.0
        self._scan_cost = 0.0
        self._pulse_step = 0
        self._pulse_time = 0.0
        self._rare_step = 0.0
        self._rare_time = 0.0
        self._scan_step = 0
        self._scan_time = 0.0
        self._late = math.inf
        self._alarm = 0
        self._scan_asked = False
        self._retry = False
        self._borrowed = False
        self._opening = True
        self._with_scan = 0

    def share(self, part: float) -> None:
        """Live on this part of the budget from now on; other subjects live on the rest."""
        self._part = part
        self._income.rate = self._budget * part

    @property
    def debt(self) -> float:
        """Seconds of the opening that have not been paid back, as of the last closer look."""
        return max(0.0, self._income.debt)

    def decide(self, step: int, now: float) -> Decision:
        """Say what to record on `step`; `now` is seconds on any clock. Call once a step, in order."""
        scan = (step >= self._scan_step or now >= self._late or self._scan_asked) and now >= self._scan_time
        if self._retry or scan or self._opening:
            return self._decide(step, now)
        if self.every is not None:
            return self._decide(step, now) if step % self.every == 0 else NOTHING
        if step >= self._pulse_step:
            paid = now >= self._pulse_time or (step >= self._rare_step and now >= self._rare_time)
            return self._decide(step, now) if paid else NOTHING
        return NOTHING

    def _decide(self, step: int, now: float) -> Decision:
        """Take the closer look that `decide` avoids on most steps."""
        if step <= 1:  # the time before the first step is no training
            self._income.at = None
        self._earn(now)
        self._opening = step < OPENING
        scan = self._wants_scan(step, now)
        pulse = scan or self._wants_pulse(step)
        if pulse:
            self._alarm = max(0, self._alarm - 1)
            self._rare_step = PULSE_GROWTH * step
            self._fallow = 0.0
            self._pulse_step = step + 1 if self._alarm else step + max(1, step // ROWS_PER_OCTAVE)
        self._with_scan += scan
        self._look_ahead(now)
        return Decision(pulse, scan)

    def _earn(self, now: float) -> None:
        rest = self.rest()
        own, self._rest_seen = self._part * (rest - self._rest_seen), rest
        income = self._income.earn(now, own, self._opening)
        self._fallow += self._income.left
        for purse in (self._pulses, self._scans):
            purse.fill(income)

    def paid(self, pulse: float = 0.0, scan: float = 0.0) -> None:
        """Report what a pulse or a scan cost, in seconds."""
        if pulse:
            self._pulse_cost = pulse if not self._pulse_cost else 0.8 * self._pulse_cost + 0.2 * pulse
        if scan:
            self._scan_cost = scan
        purse = self._pulses
        if pulse and self._with_scan:
            self._with_scan, purse = self._with_scan - 1, self._scans
        if self._opening:
            self._income.debt += scan + (pulse if self.every is None else 0.0)
        else:
            self._scans.pay(scan)
            if self.every is None:
                purse.pay(pulse)
        if self._income.at is not None:
            self._look_ahead(self._income.at)

    def affords_surprise(self, now: float) -> bool:
        """Whether a pulse that was not planned may be taken: up to eight on credit."""
        self._earn(now)
        return self._opening or self._pulses.saved >= -SURPRISES * self._pulse_cost

    def alarm(self, scan: bool = False, on_credit: bool = False) -> None:
        """Something changed: record the next steps densely, and scan soon if asked.

        on_credit: once in the opening such a scan is taken as its own are, whatever it costs, because a short
        run may be over before it could be paid for.
        """
        self._alarm = ALARM_PULSES
        self._pulse_step = 0
        self._scan_asked |= scan
        if on_credit and self._opening and not self._borrowed:
            self._borrowed = self._retry = True

    def scan_failed(self) -> None:
        """A scan came to nothing (no forward pass before the step): try again on the next step, whatever it
        costs.
        """
        self._retry = True

    def _look_ahead(self, now: float) -> None:
        """Work out when, at the earliest, the next pulse and the next scan can be paid for."""
        rate = self._income.rate
        self._pulse_time = now + self._pulses.time_for(self._pulse_cost, rate)
        missing = max(0.0, self._pulse_cost - RARE_SHARE * self._fallow)
        self._rare_time = now + missing / (RARE_SHARE * rate) if rate > 0 else math.inf
        free = self._scan_step in FIRST_SCANS
        self._scan_time = 0.0 if free else now + self._scans.time_for(self._scan_price, rate)

    @property
    def _scan_price(self) -> float:
        """A scanned step has a pulse too, and pays for it unless pulses cost nothing."""
        return self._scan_cost + (self._pulse_cost if self.every is None else 0.0)

    def _wants_pulse(self, step: int) -> bool:
        if step < FIRST_PULSES:
            return True
        if self.every is not None:
            return step % self.every == 0
        if step < self._pulse_step:
            return False
        rare = step >= self._rare_step
        if rare and (self._opening or self._pulse_cost <= RARE_SHARE * self._fallow):
            return True
        return self._pulses.affords(self._pulse_cost)

    def _wants_scan(self, step: int, now: float) -> bool:
        due = step >= self._scan_step
        if self._retry or (due and self._scan_step in FIRST_SCANS):
            return self._start_scan(step, now)
        wanted = due or now >= self._late or self._scan_asked
        return wanted and self._scans.affords(self._scan_price) and self._start_scan(step, now)

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
