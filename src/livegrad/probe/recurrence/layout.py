"""How the sequences of a recurrent call lie in its tensors: padded or packed, batch first or second, or a
single one.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# The recurrence is run again for so many of the batch: S is a mean over samples, states and probe entries …
_MOST_SAMPLES = 4
# … and for fewer where the states alone would take more numbers than this.
_MOST_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Layout:
    """samples: places in the batch of the samples that are looked at. lengths: of their sequences, in steps.
    batch: dimension of a padded tensor along which the samples lie; None where there is but one, without it.
    places: (T, n) rows of a packed tensor's data, (T, n) whether there is one; None where it is not packed.
    """

    samples: tuple[int, ...]
    lengths: tuple[int, ...]
    batch: int | None
    places: tuple[Tensor, Tensor] | None = None

    @property
    def steps(self) -> int:
        return max(self.lengths)

    def of_sequence(self, value: Tensor) -> Tensor:
        """Return a copy of the chosen samples of a tensor laid out like the input, (T, n, features)."""
        value = value.detach()
        if self.places is not None:
            at, there = self.places
            return value[at.to(value.device)] * there.to(value.device)[..., None]
        if self.batch is None:
            return value.unsqueeze(1).clone()
        chosen = value.narrow(self.batch, 0, len(self.samples))
        return (chosen.transpose(0, 1) if self.batch == 0 else chosen).clone()

    def of_state(self, value: Tensor) -> Tensor:
        """Return a copy of the chosen samples of a state, (layers · directions, n, features)."""
        value = value.detach()
        if self.batch is None:
            return value.unsqueeze(1).clone()
        return value[:, list(self.samples)]

    def of_rows(self, squares: Any, batch: int) -> float:
        """Return the share of the chosen samples in sums of squares per sample, (B,)."""
        if len(squares) != batch:
            return float(squares.sum()) * len(self.samples) / max(1, batch)
        return float(squares[list(self.samples)].sum())


def layout_of(sequence: Any, batch_first: bool, width: int) -> Layout | None:
    """Return the layout of a call's input, or None where it is of no kind known. width: numbers per step that
    the recurrence keeps.
    """
    if isinstance(sequence, torch.nn.utils.rnn.PackedSequence):
        return _packed(sequence, width)
    if not isinstance(sequence, Tensor) or sequence.ndim not in (2, 3) or not sequence.numel():
        return None
    if sequence.ndim == 2:
        return Layout((0,), (len(sequence),), None)
    batch = 0 if batch_first else 1
    steps = sequence.shape[1 - batch]
    number = min(sequence.shape[batch], _most(steps, width))
    return Layout(tuple(range(number)), (steps,) * number, batch)


def _packed(sequence: torch.nn.utils.rnn.PackedSequence, width: int) -> Layout:
    sizes = sequence.batch_sizes.cpu()
    number = min(int(sizes[0]), _most(len(sizes), width))
    # Samples are sorted by length, so the first are the longest.
    lengths = tuple(int((sizes > j).sum()) for j in range(number))
    first = torch.cumsum(sizes, 0) - sizes
    at = first[:, None] + torch.arange(number)
    there = torch.arange(len(sizes))[:, None] < torch.tensor(lengths)
    order = sequence.sorted_indices
    samples = tuple(range(number)) if order is None else tuple(order[:number].tolist())
    return Layout(samples, lengths, 1, (torch.where(there, at, 0), there))


def _most(steps: int, width: int) -> int:
    return max(1, min(_MOST_SAMPLES, _MOST_ENTRIES // max(1, steps * width)))
