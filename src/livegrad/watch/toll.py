"""Whether what would be done on every single step can be paid from the budget.

A hundred microseconds are nothing to a step of a second and a tenth of a step of a millisecond. So what is
done on every step rests while its price is too high for the steps at hand, and is woken for some steps when
something changes.
"""

from statistics import median

ROUND = 32
TRIAL = 32
ALARMED = 20


class Toll:
    """`awake` says whether to do it on the step to come.

    share: the part of wall time it may take once the opening is over. petty: seconds a step that are too few
    to save, however short the steps are. The price is the median of what it cost on the last 32 steps, for a
    busy machine interrupts some of them; the length of a step is measured anew every 32 steps. At rest it is
    tried out on one step in 1024, so that a price learnt at a bad moment is not believed for ever.
    """

    def __init__(self, share: float, petty: float = 0.0) -> None:
        self.awake = True
        self._share = share
        self._petty = petty
        self._price = 0.0
        self._affordable = True
        self._left = ROUND
        self._resting = 0
        self._alarmed = 0
        self._spent = 0.0
        self._prices: list[float] = []
        self._since: float | None = None

    def pay(self, seconds: float) -> None:
        """Something was done for the present step, for so long."""
        self._spent += seconds

    def alarm(self) -> None:
        """Something has changed: stay awake for the next steps."""
        self._alarmed = ALARMED
        self.awake = True

    def step_over(self, now: float, opening: bool) -> bool:
        """A step is over; True if `awake` has changed."""
        before = self.awake
        if before:
            self._prices.append(self._spent)
        self._spent = 0.0
        self._alarmed = max(0, self._alarmed - 1)
        self._left -= 1
        if self._left == 0:
            self._renew(now)
        self.awake = opening or self._alarmed > 0 or self._affordable
        return self.awake is not before

    def _renew(self, now: float) -> None:
        if self._prices:
            self._price = median(self._prices)
        if self._since is not None:
            allowed = max(self._petty, self._share * (now - self._since) / ROUND)
            self._affordable = self._price <= allowed
        self._resting = 0 if self._affordable else self._resting + 1
        if self._resting >= TRIAL:
            self._resting, self._alarmed = 0, 1
        self._left, self._since = ROUND, now
        self._prices = []
