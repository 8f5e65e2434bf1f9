"""The patient: everything a rule may ask about one subject of a run, read once and derived on demand."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from livegrad.diagnose.constant_answer import constant_level
from livegrad.diagnose.learning import Learning, judge_learning
from livegrad.diagnose.spine_profile import SpineProfile, spine_profile
from livegrad.run.pulses import Pulses
from livegrad.run.reader import Run
from livegrad.run.scans import Scan
from livegrad.run.schema import Layer, Subject, Tensor

# A misfit of a fiftieth of the targets' spread (or of the right class's probability) leaves nothing to learn.
FITTED = 0.02
# A constant answer leaves the misfit near where it starts; under this share of that the network has learnt.
LEARNT = 0.5
# A loss over this share of a constant answer's is no better than that answer.
NO_BETTER = 0.98
# What is asked of the losses (robust trends over all pairs) takes time that grows with their square.
MOST_LOSSES = 512
# Outputs this far from the targets are wrong, whatever the loss does.
WRONG = 0.3


@dataclass
class Patient:
    """One subject under diagnosis. Arrays over tensors follow `pulses.tensor`."""

    run: Run
    subject: Subject

    @cached_property
    def layers(self) -> dict[int, Layer]:
        """Layer id -> layer, of this subject."""
        return {layer.id: layer for layer in self.run.layers if layer.subject == self.subject.id}

    @cached_property
    def tensors(self) -> dict[int, Tensor]:
        """Tensor id -> tensor, of this subject."""
        return {tensor.id: tensor for tensor in self.run.tensors if tensor.subject == self.subject.id}

    @cached_property
    def scans(self) -> list[Scan]:
        """Every scan whose layers are all known, in order of steps."""
        return [s for s in self.run.scans(self.subject.id) if all(int(k) in self.layers for k in s.layer)]

    @cached_property
    def profiles(self) -> list[SpineProfile]:
        """The spine's profile at every scan that measured audibility on finite numbers."""
        found = [spine_profile(scan, self.layers) for scan in self.scans]
        return [p for p in found if len(p.layers) >= 2 and p.finite and p.measured]

    @cached_property
    def pulses(self) -> Pulses:
        """The recorded steps, thinned; no spike and no non-finite step is lost."""
        return self.run.pulses(self.subject.id, limit=2000)

    @cached_property
    def scalars(self) -> dict[str, np.ndarray]:
        """Every recorded step's per-row numbers."""
        return self.run.scalars(self.subject.id)

    @cached_property
    def learning(self) -> Learning:
        """The course of the loss."""
        return judge_learning(self.losses[1])

    @cached_property
    def losses(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps (S,) and losses (S,), NaN where one was not finite or unknown: evenly over all steps where
        each was known, at most MOST_LOSSES of them, else those of the recorded steps.
        """
        step, loss = self.run.losses(self.subject.id)
        recorded = self.scalars["step"]
        if len(step) <= len(np.unique(recorded)):
            return _first_of_each(recorded, self.scalars["loss"])
        stride = -(-len(step) // MOST_LOSSES)
        kept = np.unique(np.append(np.arange(0, len(step), stride), len(step) - 1))
        return _first_of_each(step[kept], loss[kept])

    @cached_property
    def residuals(self) -> list[float]:
        """Misfit of the outputs at each scan that could tell: 0 a perfect fit, about 1 none."""
        return [float(s.residual[0]) for s in self.scans if len(s.residual) and np.isfinite(s.residual[0])]

    @property
    def fits(self) -> bool:
        """True if the outputs match the targets so well that small steps are right."""
        return bool(self.residuals) and self.residuals[-1] < FITTED

    @cached_property
    def constant_loss(self) -> float | None:
        """The loss that the best constant answer would have, in the unit of the recorded losses; None if
        unknown.
        """
        scalars = self.scalars
        return constant_level(self.scans, scalars["step"], scalars["loss"])

    @property
    def is_learning(self) -> bool:
        """True if the loss still falls or has come down to a tenth, or to half of a constant answer's, or the
        outputs came near the targets.

        A fall that ends no lower than a constant answer's loss only undoes a bad start: nothing is learnt.
        """
        level = self.constant_loss
        if level is not None and level > 0:
            if self.learning.last > NO_BETTER * level:
                return self.fits
            if self.learning.last < LEARNT * level:
                return True
        known = self.residuals
        nearer = len(known) > 1 and known[-1] < LEARNT * min(1.0, known[0])
        learnt = nearer and self.learning.last < self.learning.first
        return self.learning.is_learning or self.fits or learnt

    @cached_property
    def is_finite(self) -> bool:
        """True if no recorded loss, gradient or weight was NaN or infinite."""
        return not self.broken.any()

    @cached_property
    def broken(self) -> np.ndarray:
        """Of each recorded step, whether its loss, a gradient or a weight was NaN or infinite.

        A gradient that overflows under a loss scale over 1 is the scaler's business: it skips the step.
        """
        loss = self.scalars["loss_known"] & ~np.isfinite(self.scalars["loss"])
        return loss | ((self.scalars["nonfinite"] > 0) & ~(self.scalars["loss_scale"] > 1))

    @cached_property
    def update_ratio(self) -> dict[int, float]:
        """Tensor id -> median over the sampled steps of ‖ΔW‖/‖W‖; sampled tensors only."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.pulses.update_norm / self.pulses.weight_norm
        return _median_by_tensor(self.pulses, ratio)

    @cached_property
    def answered_ratio(self) -> dict[int, float]:
        """As `update_ratio`, over the steps at which the tensor got a gradient other than zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.pulses.update_norm / self.pulses.weight_norm
            ratio = np.where(self.pulses.gradient_norm > 0, ratio, np.nan)
        return _median_by_tensor(self.pulses, ratio)

    @cached_property
    def swallowed(self) -> dict[int, float]:
        """Tensor id -> median share of entries whose update the dtype swallowed (w + Δ == w)."""
        return _median_by_tensor(self.pulses, self.pulses.swallowed)

    @cached_property
    def eps_dominated(self) -> dict[int, float]:
        """Tensor id -> median share of entries whose √v̂ lies under the optimizer's eps."""
        return _median_by_tensor(self.pulses, self.pulses.eps_dominated)

    def optimizer_of(self, tensor: Tensor) -> str:
        """Return the class name of the optimizer that holds `tensor` ("?" if unknown)."""
        index = tensor.optimizer if tensor.optimizer is not None else -1
        return self.subject.optimizers[index].type if 0 <= index < len(self.subject.optimizers) else "?"

    def optimizer_line(self, tensor: Tensor) -> str | None:
        """Return where the optimizer that holds `tensor` was made, None if unknown."""
        index = tensor.optimizer if tensor.optimizer is not None else -1
        if not 0 <= index < len(self.subject.optimizers):
            return None
        return self.subject.optimizers[index].source

    def setting(self, tensor: Tensor, name: str) -> float | None:
        """Return a number among the settings of the optimizer that holds `tensor`, or None."""
        index = tensor.optimizer if tensor.optimizer is not None else -1
        if not 0 <= index < len(self.subject.optimizers):
            return None
        value = self.subject.optimizers[index].settings.get(name)
        return float(value) if isinstance(value, int | float) else None

    def is_output_link(self, layer: Layer) -> bool:
        """True for an activation above the output the model is judged by (a final sigmoid): it lies past the
        spine.
        """
        top = max((other.depth for other in self.layers.values() if other.kind == "depth"), default=0)
        return layer.kind == "branch" and layer.depth > top

    @property
    def answers_wrongly(self) -> bool:
        """True if nothing is learnt and the outputs are known to be far from the targets."""
        return not self.is_learning and bool(self.residuals) and self.residuals[-1] > WRONG

    def line(self, layer: Layer) -> str | None:
        """Return where a layer comes from: its module's creation, else its call site."""
        return layer.made or layer.source


def _first_of_each(step: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of several rows with one step, the first."""
    steps, first = np.unique(step, return_index=True)
    return steps, loss[first]


def _median_by_tensor(pulses: Pulses, values: np.ndarray) -> dict[int, float]:
    # A step that a gradient scaler skipped moves nothing and says nothing.
    with np.errstate(invalid="ignore"):
        skipped = (pulses.loss_scale != 1) & (np.nansum(pulses.update_norm, axis=1) == 0)
    ordered = np.sort(np.where(skipped[:, None], np.nan, values), axis=0)  # what is not known comes last
    count = np.sum(~np.isnan(ordered), axis=0)
    known = np.flatnonzero(count)
    low, high = ordered[(count[known] - 1) // 2, known], ordered[count[known] // 2, known]
    with np.errstate(invalid="ignore"):
        middle = np.where(low == high, low, (low + high) / 2)
    return {int(pulses.tensor[j]): float(value) for j, value in zip(known, middle, strict=True)}


def persists(flags: list[bool]) -> bool:
    """True if a symptom holds at the last scan and at no less than half of the scans in the later half of the
    run.

    Faults born after the start are found this way, and those that healed are not held against the network.
    """
    if not flags or not flags[-1]:
        return False
    later = flags[len(flags) // 2 :]
    return sum(later) * 2 >= len(later)
