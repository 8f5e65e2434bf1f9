"""Which of the treatments that were tried is best: it ends the finding, it learns, and it changes little."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from livegrad.treat.choice import Choice
from livegrad.treat.prescription.extent import size_of_change
from livegrad.treat.prescription.rehearsal import Outcome

# Of treatments that learn at least this share as much as the best (in nats of the loss), the smaller change
# is preferred.
NEARLY_AS_GOOD = 0.5
# A rehearsal's loss has to lie this many standard errors, and this share, below the untreated one's.
ERRORS, SHARE = 3.0, 0.01
# Nats of the loss up to which one that does not clearly learn is no better or worse than another.
UNFELT = 0.05
# Times its first value: a loss that high was driven there by its own steps.
DIVERGED = 2.0
# A loss that was halved, in nats.
HALVED = math.log(2)
# Where the gradient does not arrive nothing is cured, though the program's own report, made later, spoke of
# something else.
SILENT = frozenset({"LG101", "LG102"})
# Findings of faults that may be born in the middle of a training.
BORN_LATER = frozenset({"LG105", "LG106", "LG202", "LG301", "LG302", "LG303", "LG402"})


@dataclass(frozen=True)
class Trial:
    """A treatment that was tried on a copy, or by closed form alone (outcome None). works: as the assessment
    of its first choice says.
    """

    choices: tuple[Choice, ...]
    answers: tuple[str, ...]
    outcome: Outcome | None
    order: int
    works: bool | None = None


@dataclass(frozen=True)
class Judged:
    """learns: the loss lies clearly under the untreated one's. progress: by how much, in nats (a share of the
    untreated one's scatter where losses are not positive), or, where that one diverged, how far it came down
    from where it began: not to diverge is no progress yet. left: codes to be cured that are still found, and
    of a gradient that does not arrive, with and without the treatment; new: serious ones that were not there
    before.
    """

    trial: Trial
    learns: bool
    progress: float
    left: frozenset[str]
    new: frozenset[str]

    @property
    def cures(self) -> bool:
        return self.learns and not self.left and not self.new

    @property
    def is_clear(self) -> bool:
        """Whether it cures and has halved the loss."""
        return self.cures and self.progress > HALVED


def judge(trial: Trial, control: Outcome, wanted: frozenset[str], contest: bool = False) -> Judged:
    """Compare a rehearsal with the untreated one. wanted: codes to be cured. contest: the losses do not tell
    who is well.
    """
    outcome = trial.outcome
    if outcome is None or outcome.trouble is not None or not math.isfinite(outcome.last):
        return Judged(trial, False, -math.inf, wanted, frozenset())
    progress, learns = (0.0, True) if contest else _progress(outcome, control)
    left = outcome.codes & (wanted | (control.codes & SILENT))
    return Judged(trial, learns, progress, left, outcome.codes - control.codes - wanted)


def shortlist(judged: Sequence[Judged], size: int) -> list[Judged]:
    """Those worth a longer look: that leave no finding, by how much they learn; the smallest change among
    those that learn is always there.
    """
    found = sorted(judged, key=lambda j: (len(j.left), len(j.new), -_felt(j), j.trial.order))[:size]
    sound = [j for j in judged if j.cures]
    if sound:
        least = min(sound, key=lambda j: (*size_of_change(j.trial.choices), -j.progress))
        found = found if least in found else [*found[: size - 1], least]
    return found


def rank(judged: Sequence[Judged]) -> list[Judged]:
    """The best first. Those that cure come before those that only learn, and these before the others."""
    best = max((j.progress for j in judged if j.cures), default=math.inf)

    def key(j: Judged) -> tuple[float, ...]:
        if j.cures:
            tier = 0 if j.progress >= NEARLY_AS_GOOD * best else 1
        elif j.learns and not j.left:
            tier = 2
        else:
            tier = 3 if j.learns else 4
        size = size_of_change(j.trial.choices) if tier == 0 else (0, 0)
        progress = round(_felt(j), 3) if math.isfinite(j.progress) else -1e9
        return (tier, len(j.left) + len(j.new) if tier == 4 else 0, *size, -progress, j.trial.order)

    return sorted(judged, key=key)


def _felt(judged: Judged) -> float:
    """The progress of what learns or comes to harm. Of the others there is none: the lists' order counts."""
    small = abs(judged.progress) < UNFELT and not judged.learns
    return 0.0 if small else judged.progress


def holds(judged: Judged) -> bool:
    """Whether another number format holds what the program's does not, and does no harm: then it is the
    answer, whatever else would learn faster.
    """
    formats = any(choice.remedy == "precision" for choice in judged.trial.choices)
    outcome = judged.trial.outcome
    sound = outcome is not None and not outcome.left_out and not judged.left and not judged.new
    return formats and sound and judged.progress > -UNFELT


def rank_unseen(judged: Sequence[Judged]) -> list[Judged]:
    """The order where the fault is born later than copies were followed: what does no harm at first, then by
    what closed form and the recorded run say of it, then by how little it changes.
    """

    def key(j: Judged) -> tuple[float, ...]:
        harms = not math.isfinite(j.progress) or bool(j.new)
        return (harms, j.trial.works is not True, *size_of_change(j.trial.choices), j.trial.order)

    return sorted(judged, key=key)


def has_risen(outcome: Outcome) -> bool:
    """Whether the loss, as a mean over fifths of the steps, is at the end twice what it was at its lowest."""
    size = max(1, len(outcome.losses) // 5)
    means = [sum(outcome.losses[i : i + size]) / size for i in range(0, len(outcome.losses) - size + 1, size)]
    return bool(means) and 0 < 2 * min(means) < outcome.last


def is_born_later(control: Outcome, wanted: frozenset[str]) -> bool:
    """Whether the untreated copy is well as far as it went, and `wanted` are of those that come later."""
    well = not control.codes & wanted and math.isfinite(control.last) and not has_risen(control)
    return well and wanted <= BORN_LATER


def _progress(outcome: Outcome, control: Outcome) -> tuple[float, bool]:
    now, before = outcome.last, control.last
    if not math.isfinite(before):
        first = control.losses[0] if control.losses else math.inf
        before = first if math.isfinite(first) else math.inf
        if not math.isfinite(before):
            # The untreated one breaks off at once: whatever stays finite and falls is better.
            return math.log(max(outcome.losses[0], 1e-30) / max(now, 1e-30)) if now > 0 else 0.0, True
    error = math.hypot(_error(outcome), _error(control))
    clear = before - now > max(ERRORS * error, SHARE * abs(before))
    if now > 0 and before > 0:
        start = control.losses[0]
        diverged = before > DIVERGED * start > 0
        return math.log((start if diverged else before) / now), clear
    scatter = max(error, SHARE * abs(before), 1e-12)
    return (before - now) / scatter, clear


def _error(outcome: Outcome) -> float:
    """Standard error of the mean of the last fifth of the losses, by the first differences of the later half
    (a loss that falls is not noise).
    """
    later = [x for x in outcome.losses[len(outcome.losses) // 2 :] if math.isfinite(x)]
    if len(later) < 3:
        return 0.0
    steps = [b - a for a, b in pairwise(later)]
    mean = sum(steps) / len(steps)
    variance = sum((s - mean) ** 2 for s in steps) / (len(steps) - 1) / 2
    return math.sqrt(variance / max(1, len(outcome.losses) // 5))
