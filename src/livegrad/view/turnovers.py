"""In how many steps the applied updates renew each layer's weights: τ = ‖W‖ / ‖ΔW‖."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from livegrad.view.grid import pulse_limit

if TYPE_CHECKING:
    from livegrad.run.reader import Run


@dataclass(frozen=True)
class Turnovers:
    """Of each weight matrix, input side first, over the steps at which updates were sampled; arrays of shape
    (T,), in steps.

    names: the layers that own them, or the modules. tensors: their own names. low, middle, high: least,
    median and greatest turnover; inf where the update was exactly zero, NaN where none was sampled. steps:
    how many the run took.
    """

    names: tuple[str, ...]
    tensors: tuple[str, ...]
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    steps: int

    @classmethod
    def of(cls, run: "Run", subject: int) -> "Turnovers":
        mine = [tensor for tensor in run.tensors if tensor.subject == subject]
        pulses = run.pulses(subject, limit=pulse_limit(len(mine)))
        place = {int(tensor): column for column, tensor in enumerate(pulses.tensor)}
        matrices = [tensor for tensor in mine if len(tensor.shape) > 1] or mine
        owner, order = _owners(run, subject)
        chosen = sorted(
            (t for t in matrices if t.id in place), key=lambda t: order.get(t.id, (1 << 30, t.id))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            turnover = pulses.weight_norm / pulses.update_norm
        # Weights of zero that do not move have no turnover; a step that was not sampled says nothing.
        columns = [turnover[:, place[t.id]] for t in chosen]
        stats = [_range(column[~np.isnan(column)]) for column in columns]
        low, middle, high = (
            (np.array(values) for values in zip(*stats, strict=True)) if stats else [np.empty(0)] * 3
        )
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


def _range(values: np.ndarray) -> tuple[float, float, float]:
    if not len(values):
        return np.nan, np.nan, np.nan
    return float(values.min()), float(np.median(values)), float(values.max())
