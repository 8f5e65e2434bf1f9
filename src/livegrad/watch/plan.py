"""What to record when an optimizer steps: whose its parameters are, and where they stand in the table."""

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from livegrad.watch.subject import Subject


@dataclass(frozen=True, eq=False)
class Part:
    """The tensors of one subject among an optimizer's: `positions` in the optimizer's order, `ids` in the
    run's table.
    """

    subject: Subject
    optimizer: int
    positions: np.ndarray
    ids: np.ndarray


@dataclass(eq=False)
class Plan:
    """What to record when one optimizer steps.

    key: id of every parameter in the optimizer's order. members: the same as a set. complete: every
    parameter's model is known. parts: empty if nothing of it is watched. cycle: the backward cycle of its
    last step. steps: how many it took.
    """

    optimizer: weakref.ref[Any]
    groups: int
    key: tuple[int, ...]
    parts: tuple[Part, ...]
    complete: bool
    cycle: int = -1
    steps: int = 0
    pulses: int = 0
    members: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self.members = frozenset(self.key)
