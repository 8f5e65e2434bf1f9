"""What an arm does against doing nothing: paired over seeds, with an interval.

    d_s = ln(loss of the arm, seed s) − ln(loss of the control, seed s)      (differences where a loss is ≤ 0)
    interval: mean(d) ± t · sd(d)/√n                                         exp of it is the ratio of losses

Pairing takes out what the seed does to both (data order, dropout, the draw of the task), so what is left is
the remedy's. The confidence is shared out over all arms and both looks (`confidence`), so that 95 % holds for
the whole table, not for each row. A diverged run has an infinite loss: of an arm that counts as it is; of the
control it is replaced by the best level it had before, which is the most that can be said for doing nothing.

How deep a cure goes may differ by decades from seed to seed; then sd(d) is wide, though no seed was left
uncured. So an arm is better, too, where every run of it ends below what one further run of the control would,

    max_s x_s  <  mean(c) − t · sd(c) √(1 + 1/n)                                 x, c: ln of the losses

which is the prediction interval of the control's levels, and below half of the lowest of them; and worse the
other way round.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from livegrad.theory.student import student_quantile

ERROR = 0.05
# The first look has the fewest seeds and needs most of the error that may be spent.
_FIRST_LOOK = 0.8
# Closer than this an arm is no different in practice.
SAME = 0.05
# What every seed has to come to where the spread of the cure itself leaves its mean unsure.
_HALVED = math.log(2)


@dataclass(frozen=True)
class Level:
    """What one run came down to. loss: infinity if it diverged; best: its lowest level before that."""

    loss: float
    best: float


@dataclass(frozen=True)
class Effect:
    """An arm against the control.

    scale: "log" (mean, low and high are ln of the ratio of losses), "linear" (differences) or "none" (no pair
    of runs). seeds: those that both have. confidence: of the interval, two-sided. diverged: how many of those
    seeds diverged in (control, arm). replicates: False where the seed changes nothing in this script, so that
    all seeds together are one sample. verdict: "better", "worse", "alike", "undecided" or "unknown".
    """

    scale: str
    seeds: tuple[int, ...]
    mean: float
    low: float
    high: float
    confidence: float
    diverged: tuple[int, int]
    replicates: bool
    verdict: str

    @property
    def ratio(self) -> tuple[float, float, float] | None:
        """(arm's loss over the control's, low, high); None on the linear scale."""
        if self.scale != "log":
            return None
        return _exp(self.mean), _exp(self.low), _exp(self.high)

    def to_json(self) -> dict[str, Any]:
        """Return the effect as the JSON document holds it."""
        ratio, low, high = self.ratio or (None, None, None)
        linear = self.scale == "linear"
        return {
            "verdict": self.verdict,
            "ratio": ratio,
            "low": self.low if linear else low,
            "high": self.high if linear else high,
            "difference": self.mean if linear else None,
            "confidence": self.confidence,
            "seeds": list(self.seeds),
            "diverged": list(self.diverged),
            "replicates": self.replicates,
        }


def confidence(arms: int, look: int = 0) -> float:
    """Return each interval's confidence, so that all intervals of all arms hold together with 95 %.

    Bonferroni over the arms; of the 5 % four fifths are spent at the first look (look 0) and one fifth at the
    later one, after seeds were added: bounds hold for any dependence between arms and looks.
    """
    return 1 - ERROR * (_FIRST_LOOK if look == 0 else 1 - _FIRST_LOOK) / max(1, arms)


def smallest_visible(seeds: int, confidence: float) -> float:
    """Return the smallest mean effect that can be significant, in standard deviations from seed to seed."""
    return student_quantile(confidence, seeds - 1) / math.sqrt(max(1, seeds))


def effect(control: Mapping[int, Level], arm: Mapping[int, Level], confidence: float) -> Effect:
    """Compare an arm with the control over the seeds that both have."""
    seeds = tuple(
        s
        for s in sorted(control)
        if s in arm and not math.isnan(control[s].loss) and not math.isnan(arm[s].loss)
    )
    if not seeds:
        return Effect("none", (), math.nan, math.nan, math.nan, confidence, (0, 0), True, "unknown")
    diverged = (sum(math.isinf(control[s].loss) for s in seeds), sum(math.isinf(arm[s].loss) for s in seeds))
    reference = [_fair(control[s]) for s in seeds]
    reached = [arm[s].loss for s in seeds]
    replicates = len(seeds) < 2 or len({control[s] for s in seeds}) > 1 or len({arm[s] for s in seeds}) > 1
    finite = [value for value in (*reference, *reached) if math.isfinite(value)]
    scale = "log" if all(value > 0 for value in finite) else "linear"
    differences = _differences(reference, reached, scale)
    mean, low, high = _interval(differences, confidence, replicates)
    verdict = _verdict(differences, low, high, diverged, confidence, scale)
    if verdict == "undecided" and not any(map(math.isinf, (*reference, *reached))):
        verdict = _separated_by_the_spread(reference, reached, confidence, scale)
    return Effect(scale, seeds, mean, low, high, confidence, diverged, replicates, verdict)


def _fair(level: Level) -> float:
    """The control's loss, or the best it had before it diverged."""
    return level.best if math.isinf(level.loss) else level.loss


def _differences(reference: Sequence[float], reached: Sequence[float], scale: str) -> list[float]:
    """d of each seed; two infinities are equal."""
    pairs = zip(reference, reached, strict=True)
    map_ = _ln if scale == "log" else float
    return [0.0 if math.isinf(a) and math.isinf(b) else map_(b) - map_(a) for a, b in pairs]


def _interval(
    differences: Sequence[float], confidence: float, replicates: bool
) -> tuple[float, float, float]:
    if len(differences) > 1 and all(d == -math.inf for d in differences):
        return -math.inf, -math.inf, -math.inf  # without the remedy there never was a loss
    if any(math.isinf(d) for d in differences):
        sign = sum(math.copysign(1, d) for d in differences if math.isinf(d))
        mean = math.copysign(math.inf, sign) if sign else math.nan
        return mean, -math.inf, math.inf
    mean = float(np.mean(differences))
    count = len(differences) if replicates else 1
    if count < 2:
        return mean, -math.inf, math.inf
    error = float(np.std(differences, ddof=1)) / math.sqrt(count)
    half = student_quantile(confidence, count - 1) * error
    return mean, mean - half, mean + half


def _verdict(
    differences: Sequence[float],
    low: float,
    high: float,
    diverged: tuple[int, int],
    confidence: float,
    scale: str,
) -> str:
    without, with_remedy = diverged
    count = len(differences)
    if with_remedy > without:
        return "worse"
    if with_remedy:
        return "undecided" if with_remedy < without else "alike"
    if high < 0:
        return "better"
    if without == count and _separated(count) <= 1 - confidence and all(d < 0 for d in differences):
        return "better"
    if low > 0:
        return "worse"
    near = math.log(1 + SAME)
    return "alike" if scale == "log" and -near <= low and high <= near else "undecided"


def _separated_by_the_spread(
    reference: Sequence[float], reached: Sequence[float], confidence: float, scale: str
) -> str:
    """The verdict where levels of one kind lie all under those of the other, and "undecided" elsewhere."""
    if scale != "log":
        return "undecided"
    control, arm = [_ln(v) for v in reference], [_ln(v) for v in reached]
    if max(arm) < min(_predicted_low(control, confidence), min(control) - _HALVED):
        return "better"
    if max(control) < min(_predicted_low(arm, confidence), min(arm) - _HALVED):
        return "worse"
    return "undecided"


def _predicted_low(levels: Sequence[float], confidence: float) -> float:
    """The lower end of the prediction interval for one further level.

    −∞ where two are the very same, for then it is not the seed that makes them.
    """
    count = len(levels)
    if count < 2 or len(set(levels)) < count:
        return -math.inf
    spread = float(np.std(levels, ddof=1)) * math.sqrt(1 + 1 / count)
    return float(np.mean(levels)) - student_quantile(confidence, count - 1) * spread


def _separated(count: int) -> float:
    """Chance that all `count` runs of one kind diverge and none of the other, if the remedy did nothing
    (Fisher's exact test, one-sided).
    """
    return 1 / math.comb(2 * count, count)


def _ln(value: float) -> float:
    return math.inf if math.isinf(value) else math.log(value)


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)
