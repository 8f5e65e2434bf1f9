"""How long is left of what trying may take."""

import time


class Stopwatch:
    """Counts the time that this process works, not that in which others keep it waiting."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = time.perf_counter(), time.process_time()

    @property
    def share_gone(self) -> float:
        """How much of the seconds has gone, as a share."""
        wall, worked = time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]
        return min(wall, worked) / self._seconds

    def left(self, share: float) -> float:
        """Seconds until this share has gone."""
        return self._seconds * max(0.0, share - self.share_gone)
