"""The loss of every step, also of those that are not recorded: a number that is on the host anyway."""

import time
from collections.abc import Callable

import numpy as np

Write = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
MOST_WAITING = 1024
# Whoever follows a run sees losses no older than that, or than this share of its time: so few batches are
# written of a long one.
OLDEST_SECONDS, OLDEST_SHARE = 0.5, 0.01
# So many steps are kept one by one; of as many more every second, then every fourth, and so on.
FULL_LENGTH = 65_536


class LossHistory:
    """Collects (step, subject, loss) and hands them on in batches. Costs about a microsecond a step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._waiting: list[tuple[int, int, float]] = []
        self._clock = clock
        self._begun = self._written = clock()

    def add(self, step: int, subject: int, loss: float) -> bool:
        """Take one; True if it is time to `flush`."""
        stride = 1 << max(0, (step // FULL_LENGTH).bit_length())
        if step >= FULL_LENGTH and step % stride:
            return False
        self._waiting.append((step, subject, loss))
        now = self._clock()
        oldest = max(OLDEST_SECONDS, OLDEST_SHARE * (now - self._begun))
        return len(self._waiting) >= MOST_WAITING or now - self._written >= oldest

    def flush(self, write: Write) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        self._written = self._clock()
        if waiting:
            step, subject, loss = zip(*waiting, strict=True)
            write(np.array(step, np.int64), np.array(subject, np.int32), np.array(loss, np.float64))
