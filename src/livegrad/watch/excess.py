"""By how much scans hold up the forward and backward passes that they listen to."""

import time
from dataclasses import dataclass

clock = time.perf_counter


@dataclass(eq=False)
class _Passes:
    """Seconds of one model's latest forward and backward passes without a scan; 0 before the first."""

    forward: float = 0.0
    backward: float = 0.0


class Excess:
    """Compares scanned passes with plain ones of the same model.

    seconds: the sum so far. A scan that comes before a plain pass is taken to have cost what the next does.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._passes: dict[int, _Passes] = {}
        self._running = (0, 0.0)
        self._unmeasured = 0

    def forward_begins(self, model: int) -> None:
        """An outermost forward pass of `model` (its id) begins that nothing listens to."""
        self._running = (model, clock())

    def forward_ends(self, model: int) -> None:
        """The outermost forward pass of `model` has ended."""
        known, begun = self._running
        if known == model:
            self._of(model).forward = clock() - begun
            self._running = (0, 0.0)

    def plain_backward(self, model: int, seconds: float) -> None:
        """The backward passes of a step of `model` took so long without a scan."""
        self._of(model).backward = seconds

    def add(self, model: int, forward: float, backward: float) -> float:
        """The passes of a step of `model` took so long under a scan: return by how much longer than plain."""
        plain = self._passes.get(model)
        if plain is None or not plain.forward or not plain.backward:
            self._unmeasured += 1
            return 0.0
        excess = max(0.0, forward - plain.forward) + max(0.0, backward - plain.backward)
        excess *= 1 + self._unmeasured
        self._unmeasured = 0
        self.seconds += excess
        return excess

    def _of(self, model: int) -> _Passes:
        return self._passes.setdefault(model, _Passes())
