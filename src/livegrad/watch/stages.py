"""The stages a gradient passes between backward and the step: unscaled, clipped. What is recorded is the
gradient before clipping and without the loss scale; these are the factors in between.

On a sampled step the statistics are taken just before the first clip, because afterwards they may be beyond
recovery: a total norm that overflows makes `clip_grad_norm_` set every gradient to 0, an infinite entry
turns all into NaN.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from livegrad.probe.statistics import PendingStats, Stats, gather


@dataclass(eq=False)
class Clip:
    """One clip of the present step.

    gradients: id of every gradient it touched, in its order. factor: what it multiplied them by, a 0-dim
    tensor on their device; None where entries were clamped one by one or the norm is spread over ranks.
    limit: the largest norm or entry allowed. scales: loss scales still on the gradients at that moment,
    removed later.
    """

    gradients: tuple[int, ...]
    factor: Any
    limit: float
    before: Stats | PendingStats | None
    scales: list[Any] = field(default_factory=list)


class StageLedger:
    """The clips since the last backward pass, which empties `clips`. Holds ids and numbers, no gradients."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []

    def clip(self, gradients: Sequence[torch.Tensor], limit: float, total_norm: Any) -> None:
        """A clip is about to happen on a sampled step; total_norm None means entry by entry."""
        touched = tuple(map(id, gradients))
        first = not any(set(touched) & set(clip.gradients) for clip in self.clips)
        self.clips.append(
            Clip(
                touched,
                _norm_factor(limit, total_norm),
                float(limit),
                gather(gradients) if first else None,
            )
        )

    def unscale(self, optimizer: Any, scale: torch.Tensor) -> None:
        """The gradients of `optimizer` are about to be divided by `scale`; earlier clips saw them scaled."""
        if self.clips:
            gradients = {id(p.grad) for group in optimizer.param_groups for p in group["params"]}
            for clip in self.clips:
                if not gradients.isdisjoint(clip.gradients):
                    clip.scales.append(scale.detach().clone())


def _norm_factor(limit: Any, total_norm: Any) -> Any:
    """min(limit / (‖g‖ + 1e-6), 1), as torch computes it; None if there is no norm, or not as a plain
    tensor here.
    """
    if type(total_norm) is not torch.Tensor:
        return None
    with torch.no_grad():
        return torch.clamp(float(limit) / (total_norm + 1e-6), max=1.0)


@dataclass(eq=False)
class ClipEffect:
    """What clipping did to one row's tensors.

    before: (position in the row, statistics, position in them) for tensors whose gradient was read before
    it was clipped. exact: the product of the norm clips' factors if every tensor met the same ones, so that
    no second look is needed.
    """

    limit: float | None = None
    sources: list[tuple[Clip, np.ndarray, np.ndarray]] = field(default_factory=list)
    factors: list[Any] = field(default_factory=list)
    uniform: bool = True


def effect_on(clips: Sequence[Clip], gradients: Sequence[int]) -> ClipEffect:
    """Match the clips of this step to a row's gradients (ids, 0 where there is none)."""
    effect = ClipEffect()
    if not clips:
        return effect
    present = {key: i for i, key in enumerate(gradients) if key}
    for clip in clips:
        places = [(present[key], j) for j, key in enumerate(clip.gradients) if key in present]
        if not places:
            continue
        effect.limit = clip.limit
        effect.uniform &= len(places) == len(present) and clip.factor is not None
        effect.factors.append(clip.factor)
        if clip.before is not None:
            rows, columns = np.array(places, np.intp).T
            effect.sources.append((clip, rows, columns))
    return effect
