"""The best of what was looked at shortly, followed for longer: as far as the program itself goes, if there is
time, because what is best after a few steps need not be so at the end: the less where the program raises its
rate later, or where it diverges, which a treatment may but put off.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livegrad.treat.choice import Choice
from livegrad.treat.prescription.ranking import (
    Judged,
    Trial,
    is_born_later,
    judge,
    rank,
    shortlist,
)
from livegrad.treat.prescription.rates import OF_RATE, at_rate, climb, is_rated
from livegrad.treat.prescription.rehearsal import Outcome, Stage
from livegrad.treat.prescription.stopwatch import Stopwatch
from livegrad.treat.prescription.variety import are_alike

# Steps of the longer look, and of the last one where the program's own number is not known.
LONGER_LOOK, LAST_LOOK, MOST_STEPS = 64, 192, 1000
FINALISTS = 4
# Share of patience that has gone after the longer look.
LONGER_SHARE = 0.85
# Of trainings that diverge by themselves, whatever the step.
OF_GROWTH = frozenset({"LG103", "LG104", "LG106", "LG301"})

Attempt = Callable[[Trial, int, float], Trial | None]
"""(trial, steps, share of patience) -> the trial with its outcome; None where it is refused."""


@dataclass(frozen=True)
class Following:
    """Follows treatments of a stage. wanted: codes to be cured. most: steps that the program takes."""

    stage: Stage
    watch: Stopwatch
    attempt: Attempt
    wanted: frozenset[str]
    most: int

    def in_order(self, judged: Sequence[Judged], control: Outcome) -> tuple[list[Judged], Outcome]:
        """Return them with the best first, after as many steps as were needed to tell, and the untreated copy
        beside those.
        """
        known = shortlist([j for j in judged if j.trial.outcome is not None], FINALISTS)
        found, control, at_end = self._finalists(known, control)
        clear = any(j.is_clear for j in found)
        if at_end and not clear and not is_born_later(control, self.wanted):
            steps = len(control.losses)
            others = self._others(judged, known, steps)
            known = [*known, *others]
            found = _ordered([*found, *self._followed(others, control, steps, 1.0)])
            found = self._at_other_rates(found, control, steps)
        return [*found, *rank([j for j in judged if j not in known])], control

    def _finalists(self, judged: Sequence[Judged], control: Outcome) -> tuple[list[Judged], Outcome, bool]:
        """The few best after a longer look, and where none has halved the loss by then, or it may diverge
        yet, after one as long as there is time for, no longer than the program itself; the untreated copy;
        whether it came to that.
        """
        each = _seconds_a_step([control])
        steps = max(len(control.losses), min(LONGER_LOOK, self.most))
        if not judged or self.watch.left(LONGER_SHARE) < 2 * each * steps:  # untreated, and one more
            return list(judged), control, False
        control = self.stage.rehearse((), steps)
        found = self._followed(judged, control, steps, LONGER_SHARE)
        early = not (self.stage.rises_after(steps) or self.wanted & OF_GROWTH)
        if early and any(j.is_clear for j in found):
            return found, control, False
        each = _seconds_a_step([control, *(j.trial.outcome for j in found if j.trial.outcome is not None)])
        last = self._affordable(each, len(found) + 1)
        if last <= steps or self.watch.left(1.0) < 2 * each * last:
            return found, control, self.most <= steps
        control = self.stage.rehearse((), last)
        return self._followed(found, control, last, 1.0), control, True

    def _affordable(self, seconds: float, runs: int) -> int:
        """Steps for so many runs at so many seconds a step, no more than the program itself takes."""
        return int(min(MOST_STEPS, self.most, self.watch.left(1.0) / max(seconds * runs, 1e-9)))

    def _followed(self, judged: Sequence[Judged], control: Outcome, steps: int, share: float) -> list[Judged]:
        """Them after more steps, the best first; those for which there is no time stay as they were, behind
        those that have proven themselves.
        """
        found, rest = list[Judged](), list[Judged]()
        for j in judged:
            if self.watch.share_gone > share:
                rest.append(j)
            elif (again := self.attempt(j.trial, steps, share)) is not None:
                found.append(judge(again, control, self.wanted, self.stage.is_contest))
        return _ordered(found, rest)

    def _others(self, judged: Sequence[Judged], known: Sequence[Judged], steps: int) -> list[Judged]:
        """The best of each kind that is unlike `known`, as far as time goes."""
        found, left = list[Judged](), self.watch.left(1.0)
        for j in rank(judged):
            outcome = j.trial.outcome
            if outcome is None or not math.isfinite(j.progress):
                continue
            seconds = outcome.seconds / max(1, len(outcome.losses)) * steps
            alike = any(are_alike(j.trial.choices, k.trial.choices) for k in (*known, *found))
            if seconds < left and not alike:
                found.append(j)
                left -= seconds
        return found

    def _at_other_rates(self, judged: Sequence[Judged], control: Outcome, steps: int) -> list[Judged]:
        """The same, and the first one's best rate, where it lets the signal through."""
        start = judged[0]
        sound = not (start.left | start.new) - OF_RATE and is_rated(start.trial.choices)
        if self.stage.is_contest or not sound:
            return list(judged)

        def attempt(choice: Choice) -> Judged | None:
            trial = start.trial
            again = Trial(at_rate(trial.choices, choice), trial.answers, None, trial.order, trial.works)
            tried = None if self.watch.share_gone > 1.0 else self.attempt(again, steps, 1.0)
            return None if tried is None else judge(tried, control, self.wanted)

        best = climb(start, attempt)
        return list(judged) if best is start else _ordered([best, *judged])


def _seconds_a_step(outcomes: Sequence[Outcome]) -> float:
    """By the longest of them: what breaks off soon is mostly its beginning."""
    longest = max(outcomes, key=lambda outcome: len(outcome.losses))
    return longest.seconds / max(1, len(longest.losses))


def _ordered(judged: Sequence[Judged], rest: Sequence[Judged] = ()) -> list[Judged]:
    """Those that cure, then the others, those of `rest` among them."""
    good = [j for j in judged if j.cures]
    return [*rank(good), *rank([j for j in (*judged, *rest) if j not in good])]
