"""What size a gradient may have by the run's own history: a limit that follows the recent norms and that a
few wild ones do not move.

The definition is that of a spike (livegrad.diagnose.rules.gradient_spike): on the logarithms of the last 32
norms, over their median by 6 robust standard deviations (1.4826 MAD) and by a factor of three.

    limit = exp(median + max(ln 3, 6 · 1.4826 · MAD))

Normal scatter passes it once in 10⁹ steps. The first 8 norms only teach. A norm above the limit enters the
history as the limit, so that a regime that lasts is followed within two or three windows; one that is zero or
not finite does not enter at all (P. Seetharaman et al.: AutoClip, 2020; A. Kumar et al.: ZClip, 2025).
"""

import math

import torch
from torch import Tensor

WINDOW = 32
TEACHING = 8
ROBUST_Z = 6.0
FACTOR = 3.0
_MAD_TO_SD = 1.4826


class RobustThreshold:
    """The limit for one sequence of norms. Everything stays on the norms' device; nothing waits for it."""

    def __init__(self) -> None:
        self._logs = torch.full((WINDOW,), math.nan)
        self._count = torch.zeros((), dtype=torch.int64)
        self._places = torch.arange(WINDOW)

    def limit(self) -> Tensor:
        """The largest norm that is no spike, float32, 0-dim; infinite while the first norms only teach."""
        median = _median(self._logs, self._count)
        scatter = _MAD_TO_SD * _median((self._logs - median).abs(), self._count)
        limit = torch.exp(median + torch.clamp(ROBUST_Z * scatter, min=math.log(FACTOR)))
        return torch.where(self._count < TEACHING, math.inf, limit)

    def look(self, norm: Tensor) -> Tensor:
        """Return the limit for `norm` (0-dim, not negative), then take it into the history."""
        self._move_to(norm.device)
        limit = self.limit()
        log = torch.minimum(norm.detach().float(), limit).log()
        good = norm.isfinite() & log.isfinite()
        here = (self._places == self._count % WINDOW) & good
        self._logs = torch.where(here, log, self._logs)
        self._count = self._count + good
        return limit

    def _move_to(self, device: torch.device) -> None:
        if self._logs.device != device:
            self._logs, self._count = self._logs.to(device), self._count.to(device)
            self._places = self._places.to(device)


def _median(values: Tensor, count: Tensor) -> Tensor:
    """The median of the `count` entries that are not NaN, which are all if there are more than the window."""
    ordered = values.sort().values  # NaN comes last
    known = torch.clamp(count, min=1, max=len(values))
    middle = torch.stack(((known - 1) // 2, known // 2))
    return ordered.index_select(0, middle).mean()
