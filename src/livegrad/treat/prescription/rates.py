"""Learning rates for a treatment that lets the signal through: the program's own is for a net without it.

A signal that arrives makes steps larger, all the more the deeper the net: under Adam the rate that a plain
stack bears falls as 1/(width · depth). And a rate that was lowered until a sick net did not break leaves a
sound one standing still. So a treatment is tried at powers of ten of the rate, as long as that betters it.
"""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from torch.optim import Optimizer

from livegrad.diagnose.optimizer_kind import are_scale_free
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.later_rates import RISES
from livegrad.treat.prescription.ranking import HALVED, Judged

# Findings that a rate of another size can end.
OF_RATE = frozenset({"LG105", "LG106", "LG301", "LG402", "LG503"})
# Findings that a rate which rises in the middle can make.
OF_RISES = frozenset({"LG105", "LG106", "LG202", "LG301", "LG402"})
_RUNGS = 3
# By how much more the next rung has to gain, in nats and as a share: a rate at the edge is no cure.
_BETTER, _SHARE = 0.02, 0.1
# At ten times the rate the gain is ten times as large where it is in proportion; of what is felt it is less.
_PROPORTIONAL = 3.0
# A rate of zero has no tenfold: what torch's own examples begin with.
_FROM_ZERO = {True: 1e-3, False: 1e-1}

Try = Callable[[Choice], Judged | None]


def is_setting(choices: Sequence[Choice]) -> bool:
    """Whether nothing but a rate is set."""
    return all(choice.remedy == "schedule" for choice in choices)


def is_rated(choices: Sequence[Choice]) -> bool:
    """Whether all rates can be multiplied beside it, or already are."""
    return all(_multiplies(choice) for choice in choices if choice.remedy == "schedule")


def at_rate(choices: Sequence[Choice], rate: Choice) -> tuple[Choice, ...]:
    """The treatment with all rates multiplied: by what it multiplies them with already, times `rate`."""
    factor = rate.options["factor"]
    for choice in choices:
        factor *= choice.options["factor"] if _multiplies(choice) else 1.0
    others = [choice for choice in choices if not _multiplies(choice)]
    return (*others, Choice("schedule", "rate", {"factor": float(f"{factor:g}")}))


def _multiplies(choice: Choice) -> bool:
    return choice.remedy == "schedule" and choice.variant == "rate" and choice.options.keys() == {"factor"}


def climb(start: Judged, attempt: Try) -> Judged:
    """Return the best of `start` and the same at other rates. attempt: judges it with this choice added;
    None where that is refused or there is no more time.
    """
    down, up = ([f"{10.0 ** (sign * k):g}" for k in range(1, _RUNGS + 1)] for sign in (-1, 1))
    first, then = (down, up) if _is_too_fast(start) else (up, down)
    best = _along(start, attempt, first)
    best = best if best is not start else _along(start, attempt, then)
    if best.progress > HALVED:
        return best
    at = _factor(best) / _factor(start)
    return _along(best, attempt, [f"{at * 3:g}"])


def _factor(judged: Judged) -> float:
    return next((c.options["factor"] for c in judged.trial.choices if _multiplies(c)), 1.0)


def _along(start: Judged, attempt: Try, factors: Sequence[str]) -> Judged:
    """The best on the way: as long as each rung betters the last, and where it is higher as long as what it
    gains grows with the rate. A step that is far too small changes the loss in proportion to itself: nothing
    is felt of it at ten times the rate, and much at a thousand times.
    """
    best, gained = start, 0.0
    for factor in factors:
        found = attempt(Choice("schedule", "rate", {"factor": float(factor)}))
        if found is None:
            break
        gain = found.progress - start.progress
        if _betters(found, best):
            best = found
        elif not (float(factor) > 1 and _PROPORTIONAL * gained < gain < math.inf and _as_sound(found, best)):
            break
        gained = gain
    return best


def _as_sound(judged: Judged, other: Judged) -> bool:
    return len(judged.left) + len(judged.new) <= len(other.left) + len(other.new)


def _betters(judged: Judged, best: Judged) -> bool:
    if not _as_sound(judged, best):
        return False
    if not math.isfinite(best.progress):
        return judged.progress > best.progress
    return judged.progress > best.progress + max(_BETTER, _SHARE * abs(best.progress))


def _is_too_fast(judged: Judged) -> bool:
    """It broke off, its losses rise, or its report says so."""
    outcome = judged.trial.outcome
    if outcome is None or not outcome.losses:
        return True
    risen = not outcome.last < outcome.losses[0] + abs(outcome.losses[0]) * 0.01
    return risen or bool(outcome.codes & (OF_RATE - {"LG503"}))


def rates_that_rise(lessons: Sequence[Any]) -> list[Choice]:
    """A bound on the rate where the program's own first steps raise it over twice what it usually is in them;
    [] where they do not. lessons: with the rates of each step, by optimizer and group.
    """
    rates = [rate for lesson in lessons for group in lesson.rates for rate in group if rate > 0]
    if not rates or max(rates) <= RISES * (usual := median(rates)):
        return []
    return [Choice("schedule", "cap", {"lr": float(f"{usual:.2g}")})]


def rates_from_zero(optimizers: Sequence[Optimizer]) -> list[Choice]:
    """What to try where a group has a rate of zero, which no factor raises; [] where none has."""
    if all(float(group.get("lr", 1.0)) != 0 for o in optimizers for group in o.param_groups):
        return []
    scale_free = are_scale_free(type(optimizer).__name__ for optimizer in optimizers)
    return [Choice("schedule", "rate", {"lr": _FROM_ZERO[scale_free] * share}) for share in (1.0, 0.1)]
