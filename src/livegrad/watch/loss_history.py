"""The loss of every step, also of those that are not recorded: a number that is on the host anyway."""

from collections.abc import Callable

import numpy as np

Write = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
MOST_WAITING = 1024
# So many steps are kept one by one; of as many more every second, then every fourth, and so on.
FULL_LENGTH = 65_536


class LossHistory:
    """Collects (step, subject, loss) and hands them on in batches. Costs about a microsecond a step."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, float]] = []

    def add(self, step: int, subject: int, loss: float) -> bool:
        """Take one; True if it is time to `flush`."""
        stride = 1 << max(0, (step // FULL_LENGTH).bit_length())
        if step >= FULL_LENGTH and step % stride:
            return False
        self._waiting.append((step, subject, loss))
        return len(self._waiting) >= MOST_WAITING

    def flush(self, write: Write) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            step, subject, loss = zip(*waiting, strict=True)
            write(np.array(step, np.int64), np.array(subject, np.int32), np.array(loss, np.float64))
