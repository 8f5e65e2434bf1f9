"""What may be spent: an income in proportion to wall time, what is taken off it first, and savings.

Pure bookkeeping in seconds; time comes in as numbers.
"""

import math
from dataclasses import dataclass

LARGEST_BILL = 0.9
REPAYMENT = 0.5


@dataclass
class Income:
    """`rate` seconds for each second of wall time, less what is owed.

    owed: what was spent beside the records (hooks on ordinary steps, run.json, a diagnosis in between). It is
    taken off first, but never the last tenth, so that a program whose steps are so short that the hooks alone
    cost more than the budget is still looked at. debt: what the opening has cost. All that is left pays it
    back while the opening lasts, half of it after.
    """

    rate: float
    owed: float = 0.0
    debt: float = 0.0
    at: float | None = None
    left: float = 0.0

    def earn(self, now: float, rest: float, opening: bool) -> float:
        """Take in the time since the last call, in which `rest` seconds were spent beside records.

        Returns the seconds that may be spent on records for it. `left`: the same before debts were paid back.
        """
        earned = 0.0 if self.at is None else self.rate * max(0.0, now - self.at)
        self.at = now
        if opening:
            self.debt += rest
        else:
            self.owed += rest
        bill = min(max(self.owed, 0.0), LARGEST_BILL * earned)
        self.owed -= bill
        self.left = earned - bill
        back = self.left if opening else min(max(self.debt, 0.0), REPAYMENT * self.left)
        self.debt -= back
        return self.left - back


@dataclass
class Purse:
    """Savings in seconds out of a `share` of an income, at most `cap` of them: quiet times buy no burst."""

    share: float
    cap: float
    saved: float = 0.0

    def fill(self, income: float) -> None:
        self.saved = min(self.saved + self.share * income, self.cap)

    def affords(self, cost: float) -> bool:
        # A price above the cap would never be met: then a full purse is enough, and the rest is paid off
        # after.
        return self.saved >= min(cost, self.cap)

    def time_for(self, cost: float, rate: float) -> float:
        """After how many seconds `cost` can be afforded at the earliest, if nothing else is bought."""
        missing = min(cost, self.cap) - self.saved
        if missing <= 0:
            return 0.0
        return missing / (rate * self.share) if rate > 0 else math.inf

    def pay(self, cost: float) -> None:
        self.saved -= cost
