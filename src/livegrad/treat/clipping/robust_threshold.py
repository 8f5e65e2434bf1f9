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
import statistics
from collections import deque

import torch
from torch import Tensor

WINDOW = 32
TEACHING = 8
ROBUST_Z = 6.0
FACTOR = 3.0
_MAD_TO_SD = 1.4826


class RobustThreshold:
    """The limit for one sequence of norms; `usual` is their median as of the last look, inf before.

    Norms on the CPU are plain numbers; on another device everything stays there and nothing waits for it.
    on_device: so for norms on the CPU too, which is slower.
    """

    def __init__(self, on_device: bool = False) -> None:
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._logs = torch.full((WINDOW,), math.nan, dtype=torch.float32)
        self._count = torch.zeros((), dtype=torch.int64)
        self._places = torch.arange(WINDOW)
        self._on_device = on_device
        self.usual: float | Tensor = math.inf

    def look(self, norm: Tensor) -> Tensor:
        """Return the limit for `norm` (0-dim, not negative; inf while the first ones only teach), then take
        the norm into the history.
        """
        if norm.device.type == "cpu" and not self._on_device:
            return torch.tensor(self.look_at(float(norm)), dtype=torch.float32)
        self._move_to(norm.device)
        limit = self._limit()
        log = torch.minimum(norm.detach().float(), limit).log()
        good = norm.isfinite() & log.isfinite()
        here = (self._places == self._count % WINDOW) & good
        self._logs = torch.where(here, log, self._logs)
        self._count = self._count + good
        return limit

    def look_at(self, norm: float) -> float:
        """As `look`, for a norm that is known; the two keep histories of their own."""
        limit = math.inf
        if len(self._recent) >= TEACHING:
            median = statistics.median(self._recent)
            scatter = _MAD_TO_SD * statistics.median(abs(log - median) for log in self._recent)
            self.usual = _exp(median)
            limit = _exp(median + max(math.log(FACTOR), ROBUST_Z * scatter))
        if 0 < norm < math.inf:
            self._recent.append(math.log(min(norm, limit)))
        return limit

    def _limit(self) -> Tensor:
        median = _median(self._logs, self._count)
        scatter = _MAD_TO_SD * _median((self._logs - median).abs(), self._count)
        teaching = self._count < TEACHING
        self.usual = torch.where(teaching, math.inf, torch.exp(median))
        limit = torch.exp(median + torch.clamp(ROBUST_Z * scatter, min=math.log(FACTOR)))
        return torch.where(teaching, math.inf, limit)

    def _move_to(self, device: torch.device) -> None:
        if self._logs.device != device:
            self._logs, self._count = self._logs.to(device), self._count.to(device)
            self._places = self._places.to(device)


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _median(values: Tensor, count: Tensor) -> Tensor:
    """The median of the `count` entries that are not NaN, which are all if there are more than the window."""
    ordered = values.sort().values  # NaN comes last
    known = torch.clamp(count, min=1, max=len(values))
    middle = torch.stack(((known - 1) // 2, known // 2))
    return ordered.index_select(0, middle).mean()
