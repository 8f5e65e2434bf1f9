"""How a training went over its steps: loss, and how large the applied updates were beside the weights."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from livegrad.view.grid import stretches_of

if TYPE_CHECKING:
    from livegrad.run.reader import Run

_POINTS = 1000


@dataclass(frozen=True)
class Progress:
    """Curves over steps.

    Attributes:
        steps: (S,) at most about 1,000, with the extremes of the loss among them.
        loss: (S,), NaN where it is unknown or not finite.
        loss_broken: (S,), where a known loss was not finite.
        update_steps: (U,) steps at which updates were sampled; of long runs, the first of each stretch.
        update_ratio: (4, U) ‖ΔW‖/‖W‖ of the weight matrices: the 5th percentile, the median, the 95th
            percentile, and the largest. Of a stretch the median is that of one sampled step; the others are
            over the least or the greatest that each matrix had in it, so that no spike is thinned away.
        sick_ratio: (U,) the median over the matrices of layers with a finding, or None without any.
    """

    steps: np.ndarray
    loss: np.ndarray
    loss_broken: np.ndarray
    update_steps: np.ndarray
    update_ratio: np.ndarray
    sick_ratio: np.ndarray | None

    @property
    def has_loss(self) -> bool:
        return bool(np.isfinite(self.loss).any() or self.loss_broken.any())

    @property
    def has_updates(self) -> bool:
        return bool((self.update_ratio[:3] > 0).any())

    @classmethod
    def of(cls, run: "Run", subject: int, sick_tensors: Collection[int] = ()) -> "Progress":
        """Read all curves."""
        steps, loss, broken = _loss(run, subject)
        found = stretches_of(run, subject)
        matrices = _matrices(run, found.tensor)
        most, usual, least = (
            _ratio(turnover[:, matrices])
            for turnover in (found.turnover_low, found.turnover, found.turnover_high)
        )
        sampled = ~np.isnan(usual).all(axis=1) if usual.size else np.zeros(len(found.steps), bool)
        most, usual, least = most[sampled], usual[sampled], least[sampled]
        sick = np.isin(found.tensor[matrices], list(sick_tensors))
        parts = ((least, 5), (usual, 50), (most, 95), (most, 100))
        return cls(
            steps,
            loss,
            broken,
            found.steps[sampled],
            np.array([_percentile(ratio, at) for ratio, at in parts]),
            _percentile(usual[:, sick], 50) if sick.any() and not sick.all() else None,
        )

    @classmethod
    def of_loss(cls, run: "Run", subject: int) -> "Progress":
        """Read the loss alone, which is far quicker: without updates."""
        return cls(*_loss(run, subject), np.empty(0, np.int64), np.empty((4, 0)), None)


def _matrices(run: "Run", ids: np.ndarray) -> np.ndarray:
    """Return which (T,) tensors have two axes or more: a bias starts at zero and says little of the pace.

    Where a model has none, all.
    """
    matrices = np.isin(ids, [tensor.id for tensor in run.tensors if len(tensor.shape) > 1])
    return matrices if matrices.any() else np.ones(len(ids), bool)


def _ratio(turnover: np.ndarray) -> np.ndarray:
    """Return ‖ΔW‖/‖W‖. A tensor of zeros that moves has none; a bias starts so."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 1 / turnover
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _percentile(ratio: np.ndarray, at: float) -> np.ndarray:
    """Return a percentile (U,) over the tensors of (U, T); NaN where a row holds none."""
    found = np.full(len(ratio), np.nan)
    rows = ~np.isnan(ratio).all(axis=1) if ratio.size else np.zeros(len(ratio), bool)
    if rows.any():
        found[rows] = np.nanpercentile(ratio[rows], at, axis=1)
    return found


def _loss(run: "Run", subject: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = run.scalars(subject)
    known = table["loss_known"].astype(bool)
    step, loss = table["step"], table["loss"]
    every, losses = run.losses(subject)
    if len(every) > len(np.unique(step)):
        # Of very long runs not every step is among these; what was recorded of the others is.
        others = known & ~np.isin(step, every)
        step, loss = np.append(every, step[others]), np.append(losses, loss[others])
        order = np.argsort(step, kind="stable")
        step, loss, known = step[order], loss[order], np.ones(len(step), bool)
    broken = known & ~np.isfinite(loss)
    rows = np.arange(len(step))
    if len(rows) > _POINTS:
        edges = np.linspace(0, len(rows), _POINTS // 3 + 1).round().astype(int)
        rows = np.unique(
            np.concatenate([[0, len(step) - 1], *(_extremes(loss, broken, a, b) for a, b in pairwise(edges))])
        )
        rows = rows.astype(int)
    return step[rows], np.where(np.isfinite(loss[rows]), loss[rows], np.nan), broken[rows]


def _extremes(loss: np.ndarray, broken: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return the rows of the smallest and the largest loss of a stretch, and its first that is not finite."""
    part = loss[start:stop]
    finite = np.isfinite(part)
    rows = []
    if finite.any():
        rows += [np.argmin(np.where(finite, part, np.inf)), np.argmax(np.where(finite, part, -np.inf))]
    if broken[start:stop].any():
        rows.append(np.argmax(broken[start:stop]))
    return start + np.array(rows, dtype=int)
