"""How many first steps of a program are recorded: copies that know few batches by heart say little."""

import time
from collections.abc import Sequence

from torch import Tensor, nn

from livegrad.probe.operation import tensors_in
from livegrad.treat.prescription.lesson import RecordedLesson

FEWEST, MOST = 24, 96
# More than the fewest are recorded as long as that takes no longer, and what they keep no more room.
SECONDS, BYTES = 3.0, 256e6


class EnoughLessons:
    """Counts from when it is made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def reached(self, lessons: Sequence[RecordedLesson], optimizers: int = 1) -> bool:
        """Whether these, of so many optimizers, are enough."""
        each = len(lessons) / max(1, optimizers)
        if each < FEWEST:
            return False
        long = time.perf_counter() - self._begun > SECONDS
        return each >= MOST or long or len(lessons) * _bytes(lessons[-1]) > BYTES


def _bytes(lesson: RecordedLesson) -> int:
    """The room that the batch takes, and what the models and the loss made of it."""
    kept: dict[int, Tensor] = {}
    for operation in lesson.operations:
        kept.update(
            (id(t), t) for t in tensors_in((operation.args, dict(operation.kwargs), operation.output))
        )
    return sum(t.numel() * t.element_size() for t in kept.values() if not isinstance(t, nn.Parameter))
