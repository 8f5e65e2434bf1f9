"""A pulse: the record of one optimizer step, taken when the step begins and written when its numbers have
arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from livegrad.probe.statistics import PendingStats, Stats, gather
from livegrad.probe.update import PendingUpdate, UpdateSampler, UpdateStats
from livegrad.run.rows import PulseRow
from livegrad.watch.plan import Plan
from livegrad.watch.scalars import Scalars
from livegrad.watch.stages import Clip, ClipEffect, effect_on
from livegrad.watch.subject import parameters_of


@dataclass(eq=False)
class Pulse:
    """One step's measurements, possibly still on a device. `weights` is None where they were not read;
    `update` is filled in after the step where it is sampled.
    """

    plan: Plan
    steps: tuple[int, ...]
    seconds: float
    scalars: Scalars
    gradients: Stats | PendingStats
    weights: Stats | PendingStats | None
    after: Stats | PendingStats | None
    effect: ClipEffect
    scaled: bool
    sampler: UpdateSampler | None = None
    update: UpdateStats | PendingUpdate | None = None
    cost: float = 0.0

    def end_step(self, optimizer: Any) -> None:
        """The step has been applied: compare the sampled weights with what they were."""
        sampler, self.sampler = self.sampler, None
        if sampler is not None:
            self.update = sampler.after(optimizer)

    def ready(self) -> bool:
        """Whether `rows` would return without waiting for a device."""
        parts = [
            self.gradients,
            self.weights,
            self.scalars,
            self.after,
            self.update,
            *(clip.before for clip, _, _ in self.effect.sources),
        ]
        return all(part is None or part.ready() for part in parts)

    def rows(self) -> list[PulseRow]:
        """The row of each subject this step trained."""
        scalars = self.scalars.read()
        gradient = self._before_clips(_copy(self.gradients.numpy()))
        weight = _unread(len(self.plan.key)) if self.weights is None else self.weights.numpy()
        scale = _number(scalars["loss_scale"], 1.0)
        if self.scaled:
            gradient = _divided(gradient, scale)
        factor = self._clip_factor(scalars, gradient, scale)
        rows = []
        for part, step in zip(self.plan.parts, self.steps, strict=True):
            own_gradient, own_weight = _at(gradient, part.positions), _at(weight, part.positions)
            nonfinite = (
                np.maximum(own_gradient.nonfinite, 0).sum() + np.maximum(own_weight.nonfinite, 0).sum()
            )
            rows.append(
                PulseRow(
                    step=step,
                    subject=part.subject.id,
                    optimizer=part.optimizer,
                    seconds=self.seconds,
                    loss=scalars["loss"],
                    learning_rate=_number(scalars["learning_rate"], float("nan")),
                    loss_scale=scale,
                    clip_factor=factor,
                    clip_limit=self.effect.limit,
                    gradient_sum_squares=float(own_gradient.sum_squares.sum()),
                    nonfinite=int(nonfinite),
                    cost=self.cost / len(self.plan.parts),
                    tensor=part.ids,
                    gradient_sum_squares_by_tensor=own_gradient.sum_squares,
                    gradient_max=own_gradient.max_abs,
                    gradient_zeros=own_gradient.zeros,
                    gradient_nonfinite=own_gradient.nonfinite,
                    weight_sum_squares=own_weight.sum_squares,
                    weight_max=own_weight.max_abs,
                    weight_nonfinite=own_weight.nonfinite,
                    **self._update_columns(part.positions),
                )
            )
        return rows

    def _update_columns(self, positions: np.ndarray) -> dict[str, np.ndarray]:
        if self.update is None:
            return {}
        update = self.update.numpy()
        return {
            "update_sum_squares": update.sum_squares[positions],
            "update_swallowed": update.swallowed[positions],
            "update_eps_dominated": update.eps_dominated[positions],
        }

    def _before_clips(self, gradient: Stats) -> Stats:
        """Put in place what was read before the clips, without the loss scale that was on it then."""
        for clip, rows, columns in self.effect.sources:
            assert clip.before is not None
            before = _at(clip.before.numpy(), columns)
            before = _divided(before, _product(clip.scales))
            for name in ("sum_squares", "max_abs", "zeros", "nonfinite"):
                getattr(gradient, name)[rows] = getattr(before, name)
        return gradient

    def _clip_factor(self, scalars: dict[str, float | None], before: Stats, scale: float) -> float:
        if self.effect.limit is None:
            return 1.0
        if self.after is None:
            factors = [scalars[f"clip{i}"] for i in range(len(self.effect.factors))]
            return float(np.prod([_number(f, float("nan")) for f in factors]))
        after = self.after.numpy()
        after = _divided(after, scale) if self.scaled else after
        old, new = float(before.sum_squares.sum()), float(after.sum_squares.sum())
        return float(np.sqrt(new / old)) if old > 0 else 1.0


def take_pulse(
    plan: Plan,
    optimizer: Any,
    steps: tuple[int, ...],
    seconds: float,
    loss: Any,
    loss_scale: Any,
    clips: Sequence[Clip],
    closely: bool,
) -> Pulse:
    """Measure the gradients of `optimizer` as its step begins; nothing waits for a device.

    loss, loss_scale: floats, 0-dim tensors or None. clips: those since the last backward pass. closely: also
    read the weights, and remember a sample of them for `end_step`. They are read too where a gradient is
    known not to be finite.
    """
    parameters = parameters_of(optimizer)
    gradients = [p.grad for p in parameters]
    effect = effect_on(clips, [0 if g is None else id(g) for g in gradients] if clips else ())
    remaining = list(gradients)
    for _, rows, _ in effect.sources:
        for i in rows:
            remaining[i] = None
    # A fused optimizer is given gradients that still carry the scale and divides them itself.
    on_gradient = getattr(optimizer, "grad_scale", None)
    groups = optimizer.param_groups
    scalars = {
        "loss": loss,
        "loss_scale": loss_scale if on_gradient is None else on_gradient,
        "learning_rate": groups[0].get("lr") if groups else None,
        **{f"clip{i}": factor for i, factor in enumerate(effect.factors) if effect.uniform},
    }
    unclipped = gather(remaining)
    broken = any(map(_is_broken, [unclipped, *(clip.before for clip, _, _ in effect.sources)]))
    pulse = Pulse(
        plan,
        steps,
        seconds,
        Scalars(scalars),
        unclipped,
        gather(parameters) if closely or broken else None,
        gather(gradients) if effect.limit is not None and not effect.uniform else None,
        effect,
        on_gradient is not None,
    )
    if closely:
        pulse.sampler = UpdateSampler(parameters)
        pulse.sampler.before(gradients)
    return pulse


def _product(scales: list[Any]) -> float:
    values = Scalars({str(i): scale for i, scale in enumerate(scales)}).read().values()
    return float(np.prod([_number(v, 1.0) for v in values]))


def _number(value: float | None, missing: float) -> float:
    return missing if value is None else float(value)


def _is_broken(stats: Stats | PendingStats | None) -> bool:
    """Whether `stats` are known to hold an entry that is not finite."""
    return isinstance(stats, Stats) and bool((stats.nonfinite > 0).any())


def _unread(n: int) -> Stats:
    unknown = np.full(n, -1, np.int64)
    return Stats(np.full(n, np.nan), np.full(n, np.nan, np.float32), unknown, unknown)


def _copy(stats: Stats) -> Stats:
    return Stats(*(c.copy() for c in (stats.sum_squares, stats.max_abs, stats.zeros, stats.nonfinite)))


def _at(stats: Stats, positions: np.ndarray) -> Stats:
    columns = (stats.sum_squares, stats.max_abs, stats.zeros, stats.nonfinite)
    return Stats(*(column[positions] for column in columns))


def _divided(stats: Stats, scale: float) -> Stats:
    """The statistics of the same entries divided by `scale`."""
    if scale == 1.0:
        return stats
    with np.errstate(all="ignore"):
        return Stats(
            stats.sum_squares / scale**2,
            (stats.max_abs / scale).astype(np.float32),
            stats.zeros,
            stats.nonfinite,
        )
