"""In how many steps the applied updates renew each layer's weights: τ = ‖W‖ / ‖ΔW‖."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livegrad.view.grid import stretches_of

if TYPE_CHECKING:
    from livegrad.run.reader import Run


@dataclass(frozen=True)
class Turnovers:
    """Of each weight matrix, input side first, over the steps at which updates were sampled; arrays of shape
    (T,), in steps.

    names: the layers that own them, or the modules. tensors: their own names. low, middle, high: least,
    median and greatest turnover; inf where the update was exactly zero, NaN where none was sampled. Of long
    runs the median is over one sampled step of each stretch; least and greatest are over all. steps: how many
    the run took.
    """

    names: tuple[str, ...]
    tensors: tuple[str, ...]
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    steps: int

    @classmethod
    def of(cls, run: "Run", subject: int, seconds: float | None = None) -> "Turnovers":
        """Read them from the run; seconds: as for `stretches_of`."""
        mine = [tensor for tensor in run.tensors if tensor.subject == subject]
        found = stretches_of(run, subject, seconds)
        place = {int(tensor): column for column, tensor in enumerate(found.tensor)}
        matrices = [tensor for tensor in mine if len(tensor.shape) > 1] or mine
        owner, order = _owners(run, subject)
        chosen = sorted(
            (t for t in matrices if t.id in place), key=lambda t: order.get(t.id, (1 << 30, t.id))
        )
        columns = [place[t.id] for t in chosen]
        low = np.fmin.reduce(found.turnover_low[:, columns], axis=0, initial=np.nan)
        high = np.fmax.reduce(found.turnover_high[:, columns], axis=0, initial=np.nan)
        # Weights of zero that do not move have no turnover; a step that was not sampled says nothing.
        middle = np.array([_median(found.turnover[:, column]) for column in columns])
        return cls(
            tuple(owner.get(t.id) or t.module or t.name for t in chosen),
            tuple(t.name for t in chosen),
            low,
            middle,
            high,
            run.info.steps,
        )


def _owners(run: "Run", subject: int) -> tuple[dict[int, str], dict[int, tuple[int, int]]]:
    """Which layer owns each tensor, and where along the depth it lies."""
    owner: dict[int, str] = {}
    order: dict[int, tuple[int, int]] = {}
    for layer in run.layers:
        if layer.subject == subject:
            for tensor in layer.tensors:
                owner.setdefault(tensor, layer.name)
                order.setdefault(tensor, (layer.depth, int(layer.kind == "depth")))
    return owner, order


def _median(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan
