"""One layer of a recurrent module in one direction: its weights, and what a gradient meets between its
states.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

KEPT, WEIGHTS, OUTPUTS = "kept state", "recurrent weights", "other outputs"


@dataclass(frozen=True)
class Weights:
    """Weights of one layer and direction: input (G·H, I), hidden (G·H, P), projection (P, H) or None.
    `hidden_bias` is kept apart from `bias`, because a GRU's reset gate multiplies it.
    """

    input: Tensor
    hidden: Tensor
    bias: Tensor
    hidden_bias: Tensor
    projection: Tensor | None = None


@dataclass(frozen=True)
class Stage:
    """One operation on a path from state to state. type: what it is ("Tanh", "recurrent weights", …).
    norms: of the gradient behind it, (K,), one for each step looked at. given: mean and rms of what the
    operation was given forwards, where theory can say something of it.
    """

    type: str
    norms: np.ndarray
    given: tuple[float, float] | None = None


@dataclass(frozen=True)
class Way:
    """One path from a state to the one before: its operations, the later state's side first."""

    name: str
    stages: tuple[Stage, ...]


class Unrolled(ABC):
    """A layer run forwards over T steps, and gradients sent back through it.

    hidden: h_0 … h_T, (T + 1, B, P). cells: c_0 … c_T of an LSTM, else None. heard, cells_heard: the
    gradient at h_t and c_t for t = 1 … T, (T, S, B, ·), that of the layer's readers counted in.
    """

    hidden: Tensor
    cells: Tensor | None = None
    heard: Tensor
    cells_heard: Tensor | None = None

    @abstractmethod
    def back(self, read: Tensor, last: Tensor | None, at_end: Tensor) -> Tensor:
        """Send back what the readers say of each h_t, (T, S, B, P), and of the last c, (S, B, H); return the
        gradient at the inputs, (T, S, B, I). at_end: (T, B), whether a sample ends with step t.
        """

    @abstractmethod
    def ways(self, steps: Sequence[int], which: int) -> list[Way]:
        """Return the paths from h_{t+1} to h_t for each t of `steps`, of gradient number `which`."""


def norms(gradient: Tensor) -> np.ndarray:
    """Return ‖gradient[k]‖ over all other dimensions, (K,)."""
    return torch.linalg.vector_norm(gradient.flatten(1).double(), dim=1).cpu().numpy()


def moments(value: Tensor) -> tuple[float, float]:
    """Return mean and rms over all entries."""
    wide = value.double()
    return float(wide.mean()), float(wide.square().mean().sqrt())
