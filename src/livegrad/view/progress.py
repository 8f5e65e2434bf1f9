"""How a training went over its steps: loss, and how large the applied updates were beside the weights."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from livegrad.view.grid import pulse_limit

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
        update_steps: (U,) steps at which updates were sampled.
        update_ratio: (3, U) ‖ΔW‖/‖W‖ of the weight matrices at their 5th, 50th and 95th percentile.
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
        return bool((self.update_ratio > 0).any())

    @classmethod
    def of(cls, run: "Run", subject: int, sick_tensors: Collection[int] = ()) -> "Progress":
        """Read all curves."""
        steps, loss, broken = _loss(run, subject)
        tensors = sum(tensor.subject == subject for tensor in run.tensors)
        pulses = run.pulses(subject, limit=pulse_limit(tensors))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = pulses.update_norm / pulses.weight_norm
        # A tensor of zeros that moves has no ratio; a bias starts so.
        ratio = np.where(np.isfinite(ratio), ratio, np.nan)
        sampled = ~np.isnan(ratio).all(axis=1) if ratio.size else np.zeros(len(pulses), bool)
        ratio = ratio[sampled]
        ratio, ids = _of_matrices(run, ratio, pulses.tensor)
        sick = np.isin(ids, list(sick_tensors))
        return cls(
            steps,
            loss,
            broken,
            pulses.step[sampled],
            _percentiles(ratio, (5, 50, 95)),
            _percentiles(ratio[:, sick], (50,))[0] if sick.any() and not sick.all() else None,
        )

    @classmethod
    def of_loss(cls, run: "Run", subject: int) -> "Progress":
        """Read the loss alone, which is far quicker: without updates."""
        return cls(*_loss(run, subject), np.empty(0, np.int64), np.empty((3, 0)), None)


def _of_matrices(run: "Run", ratio: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of tensors with two axes or more: a bias starts at zero and says little of the pace.

    Where a model has none, all columns.
    """
    matrices = [tensor.id for tensor in run.tensors if len(tensor.shape) > 1]
    chosen = np.isin(ids, matrices)
    return (ratio[:, chosen], ids[chosen]) if chosen.any() else (ratio, ids)


def _percentiles(ratio: np.ndarray, at: tuple[int, ...]) -> np.ndarray:
    """Return percentiles (len(at), U) over the tensors of (U, T); NaN where a row holds none."""
    found = np.full((len(at), len(ratio)), np.nan)
    rows = ~np.isnan(ratio).all(axis=1) if ratio.size else np.zeros(len(ratio), bool)
    if rows.any():
        found[:, rows] = np.nanpercentile(ratio[rows], at, axis=1)
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
