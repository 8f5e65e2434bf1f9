"""Copies of steps that looked wrong, to be run again without the cause that a diagnosis may name.

While a step is scanned a copy of its inputs is kept. Where the scan then looks wrong the model is copied too,
before the optimizer changes it. Of each model the first such step is held and the latest that is finite. A
step that looks well leaves nothing behind.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from livegrad.probe.counterfactual import Experiment
from livegrad.probe.replay import BatchKeeper, Replay
from livegrad.probe.scan import ScanResult
from livegrad.probe.twin import CannotCopy, free_memory
from livegrad.run.rows import ScanRow
from livegrad.watch.subject import Subject
from livegrad.watch.suspicion import ODD_RATIO, looks_wrong

MOST_COPIES = 16
# A copy that takes more of the free memory than this is not held beyond its own step.
HELD_SHARE = 0.05
TOO_LARGE = "a copy of the step it was seen in was too large to be held"


class StepMemory:
    """What has to be kept of one scanned step of `root` so that it can be run again.

    replay: set by `keep` where the scan looks wrong and a copy could be made. reason: why none could.
    """

    def __init__(self, root: nn.Module) -> None:
        self.replay: Replay | None = None
        self.reason: str | None = None
        self._keeper = BatchKeeper(root)
        self._keeper.open()

    def close(self) -> None:
        """Listen to no more calls."""
        self._keeper.close()

    def keep(self, root: nn.Module | None, names: Sequence[str], result: ScanResult | None) -> None:
        """The gradients have passed: copy the model if something looks wrong, else let go of the inputs."""
        self._keeper.close()
        if root is not None and result is not None and _is_odd(result):
            try:
                self.replay = self._keeper.replay(root, tuple(names), result)
            except CannotCopy as reason:
                self.reason = str(reason)
        self._keeper.batch = None


@dataclass(frozen=True)
class Copy:
    """A step that can be run again. whole: audibility was measured, and finite, at the output."""

    step: int
    experiment: Experiment
    whole: bool
    large: bool


class KeptSteps:
    """The copies held, by subject. excuses: subject -> why its last odd step could not be copied."""

    def __init__(self) -> None:
        self.excuses: dict[int, str] = {}
        self._copies: dict[int, list[Copy]] = {}
        self._taken = 0

    @property
    def any(self) -> bool:
        """Whether an odd step is at hand, or it is known why not."""
        return bool(self._copies or self.excuses)

    @property
    def large(self) -> bool:
        """Whether something is held that is too large to be held over steps."""
        return any(copy.large for copies in self._copies.values() for copy in copies)

    @property
    def wanting(self) -> bool:
        """Whether more steps are to be kept."""
        return self._taken < MOST_COPIES

    def take(self, subject: Subject, memory: StepMemory) -> None:
        """The scanned step of `subject` is over: hold what was kept of it."""
        if memory.replay is None:
            if memory.reason is not None and subject.id not in self._copies:
                self.excuses[subject.id] = memory.reason
            return
        self._taken += 1
        self.excuses.pop(subject.id, None)
        kept = self._copies.setdefault(subject.id, [])
        output = memory.replay.result.columns["audibility_output"]
        whole = bool(len(output) and np.isfinite(output[0]))
        fresh = Copy(subject.iteration, Experiment(memory.replay), whole, _is_large(memory.replay))
        if len(kept) < 2:
            kept.append(fresh)
        elif whole or not kept[1].whole:
            kept[1] = fresh

    def of(self, subject: Subject, first: int | None, last: int | None) -> list[Copy]:
        """The copies of `subject`, those of steps `first` to `last` before others, later ones first."""
        low, high = first or 0, last if last is not None else subject.iteration
        found = self._copies.get(subject.id, [])
        return sorted(found, key=lambda copy: (not low <= copy.step <= high, -copy.step))

    def let_go(self) -> None:
        """Drop what is too large to be held over steps."""
        for key, copies in list(self._copies.items()):
            left = [copy for copy in copies if not copy.large]
            self._copies[key] = left
            if not left:
                del self._copies[key]
                self.excuses[key] = TOO_LARGE


def _is_odd(result: ScanResult) -> bool:
    """Whether the scan looks wrong, or the output as a whole is too loud or quiet in its own unit."""
    columns: dict[str, Any] = dict(result.columns)
    top = [i for i, spec in enumerate(result.layers) if spec.kind == "depth"][-1:]
    if result.unit is not None and top:
        size = columns["audibility_output"][0] / max(1, result.layers[top[0]].width) ** 0.5
        if not 1 / ODD_RATIO < size < ODD_RATIO:
            return True
    return looks_wrong(ScanRow(step=0, layer=np.zeros(0, np.int32), **columns))


def _is_large(replay: Replay) -> bool:
    device = next((p.device for p in replay.twin.parameters()), torch.device("cpu"))
    with suppress(Exception):
        return replay.nbytes > HELD_SHARE * free_memory(device)
    return True
