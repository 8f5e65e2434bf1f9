"""Whether what would be done on every single step can be paid from the budget.

A hundred microseconds are nothing to a step of a second and a tenth of a step of a millisecond. So what is
done on every step rests while its price is too high for the steps at hand, and is woken for some steps when
something changes.
"""

ROUND = 32
ALARMED = 20


class Toll:
    """`awake` says whether to do it on the step to come.

    share: the part of wall time it may take once the opening is over. petty: seconds a step that are too few
    to save, however short the steps are. The price is what it cost when it was
    last done; the length of a step is measured anew every 32 steps.
    """

    def __init__(self, share: float, petty: float = 0.0) -> None:
        self.awake = True
        self._share = share
        self._petty = petty
        self._price = 0.0
        self._affordable = True
        self._left = ROUND
        self._alarmed = 0
        self._spent = 0.0
        self._done = 0
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
        self._done += before
        self._alarmed = max(0, self._alarmed - 1)
        self._left -= 1
        if self._left == 0:
            self._renew(now)
        self.awake = opening or self._alarmed > 0 or self._affordable
        return self.awake is not before

    def _renew(self, now: float) -> None:
        if self._done:
            self._price = self._spent / self._done
        if self._since is not None:
            allowed = max(self._petty, self._share * (now - self._since) / ROUND)
            self._affordable = self._price <= allowed
        self._left, self._spent, self._done, self._since = ROUND, 0.0, 0, now
