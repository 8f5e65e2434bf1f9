"""How many first steps of a program are recorded: copies that know few batches by heart say little."""

import time
from typing import Any

from livegrad.probe.operation import tensors_in

FEWEST, MOST = 24, 96
# More than the fewest are recorded as long as that takes no longer, and their batches no more room.
SECONDS, BYTES = 3.0, 256e6


class EnoughLessons:
    """Counts from when it is made. inputs: of one step."""

    def __init__(self, inputs: Any = None) -> None:
        self._begun = time.perf_counter()
        self.bytes = sum(t.numel() * t.element_size() for t in tensors_in(inputs))

    def reached(self, lessons: int, optimizers: int = 1) -> bool:
        """Whether so many steps of so many optimizers are enough."""
        each = lessons / max(1, optimizers)
        if each < FEWEST:
            return False
        long = time.perf_counter() - self._begun > SECONDS
        return each >= MOST or long or lessons * self.bytes > BYTES
