"""The candidates for one body's findings, tried on copies as far as patience goes, and put in order."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from livegrad.errors import LivegradError
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice
from livegrad.treat.prescription.extent import EXTENTS, size_of_change
from livegrad.treat.prescription.following import (
    FINALISTS,
    LAST_LOOK,
    LONGER_LOOK,
    MOST_STEPS,
    Following,
)
from livegrad.treat.prescription.listed import Listed, why
from livegrad.treat.prescription.proposal import Proposal, Refusal
from livegrad.treat.prescription.ranking import (
    Judged,
    Trial,
    holds,
    is_born_later,
    judge,
    rank,
    rank_unseen,
)
from livegrad.treat.prescription.rates import (
    OF_RATE,
    at_rate,
    climb,
    is_rated,
    is_setting,
)
from livegrad.treat.prescription.rehearsal import Outcome, Stage
from livegrad.treat.prescription.stopwatch import Stopwatch
from livegrad.treat.prescription.variety import are_alike, of_each_kind, unlike, varied

# Steps of the first look, at all candidates.
FIRST_LOOK = 16
# Shares of patience that have gone after the first looks, and once rates are found.
FIRST_SHARE, RATES_SHARE = 0.5, 0.7
# Kinds of treatment that are tried at other learning rates.
RATED = 3
# Findings of numbers that a format does not hold.
OF_FORMATS = frozenset({"LG301", "LG302", "LG303"})


class Tried:
    """The candidates for `findings` of one body. notes: what is said beside the proposals."""

    def __init__(
        self, body: Body, stage: Stage | None, findings: Sequence[Mapping[str, Any]], patience: float
    ) -> None:
        self.notes: list[str] = []
        self._body = body
        self._stage = stage
        self._wanted = frozenset(str(f["code"]) for f in findings)
        self._listed = Listed(body, findings, () if stage is None else stage.lessons)
        self._watch = Stopwatch(patience)
        self._seen: list[tuple[Choice, ...]] = []
        self._look = FIRST_LOOK
        self._born = max((int(f.get("first_step") or 0) for f in findings), default=0)
        self._climbed: list[tuple[Choice, ...]] = []
        self._courses: set[tuple[float, ...]] = set()

    @property
    def refused(self) -> list[Refusal]:
        """What cannot work here, and why."""
        return self._listed.refused

    def proposals(self) -> list[Proposal]:
        """The candidates that were not refused, the best first."""
        trials = self._listed.trials()
        if self._stage is not None:
            try:
                return self._rehearsed(self._stage, trials)
            except LivegradError as error:
                self.notes.append(f"nothing was tried: {error}")
        trials = [t for t in trials if self._listed.closed_form(t).works is not False]
        trials.sort(key=lambda t: (size_of_change(t.choices), t.order))
        return [self._proposal(t, None) for t in trials]

    def _rehearsed(self, stage: Stage, trials: Sequence[Trial]) -> list[Proposal]:
        """A short look at them, the small changes first; at other rates for those that let the signal through
        where none learns well; a longer look at the best, and a last one where those have not learnt yet.
        """
        stage.require_steps()
        contest = stage.is_contest
        control = self._control(stage)
        first, untried = self._first_looks(stage, trials, control, contest)
        if not contest and not any(j.is_clear for j in first):
            first = self._at_other_rates(stage, first, control, alone=True)
        if not is_born_later(control, self._wanted) and not any(j.is_clear for j in first):
            more = self._listed.resorts(len(trials))
            others, left_out = self._first_looks(stage, more, control, contest)
            first, untried = [*first, *others], [*untried, *left_out]
        if not contest and not any(j.is_clear for j in first):
            first = self._at_other_rates(stage, first, control)
        following = Following(stage, self._watch, self._follow, self._wanted, self._own_steps())
        every, control = following.in_order(first, control)
        last = [self._proposal(trial, None) for trial in untried]
        of_formats = self._wanted <= OF_FORMATS
        if of_formats:
            every = self._without_useless(every, control)
        if every and self._look == FIRST_LOOK and is_born_later(control, self._wanted):
            self.notes.append(
                "the fault is born later than copies were followed: their first steps say little"
            )
            every = rank_unseen(every)
        if of_formats:
            every.sort(key=lambda j: not holds(j))
        return [self._proposal(j.trial, j) for j in varied(every)] + last

    def _follow(self, trial: Trial, steps: int, share: float) -> Trial | None:
        assert self._stage is not None
        return self._tried(self._stage, trial, steps, share)

    def _own_steps(self) -> int:
        """Steps that the program takes, as far as an earlier run of it tells; many where it broke off."""
        history = self._body.history
        if history is None:
            return MOST_STEPS
        steps = history.info.steps
        return steps if history.info.status == "finished" else max(LAST_LOOK, steps)

    def _control(self, stage: Stage) -> Outcome:
        """The untreated copy; to beyond where the fault was born, if recorded steps reach there and there is
        time to follow a few treatments as far.
        """
        control = stage.rehearse((), FIRST_LOOK)
        beyond = self._born + FIRST_LOOK
        cost = 2 * FINALISTS * control.seconds * beyond / FIRST_LOOK
        if not is_born_later(control, self._wanted) or not self._born or beyond > len(stage.lessons):
            return control
        if cost > self._watch.left(FIRST_SHARE):
            return control
        longer = stage.rehearse((), beyond)
        if is_born_later(longer, self._wanted):
            return control
        self._look = beyond
        return longer

    def _without_useless(self, judged: Sequence[Judged], control: Outcome) -> list[Judged]:
        """Without those that change nothing about numbers that a format does not hold: that shows at once."""
        found = []
        lost = control.left_out / max(1, len(control.losses))
        for j in judged:
            outcome = j.trial.outcome
            share = math.nan if outcome is None else outcome.left_out / max(1, len(outcome.losses))
            if outcome is not None and not j.learns and lost and share >= lost / 2:
                said = f"on a copy {share:.0%} of the steps were still left out, as not finite"
                self._listed.refuse(j.trial.choices, said)
            elif outcome is not None and not j.learns and j.left:
                still = " and ".join(sorted(j.left)) + (" are" if len(j.left) > 1 else " is")
                self._listed.refuse(j.trial.choices, f"on a copy it changed nothing: {still} still there")
            else:
                found.append(j)
        return found

    def _at_other_rates(
        self, stage: Stage, judged: Sequence[Judged], control: Outcome, alone: bool = False
    ) -> list[Judged]:
        """The same, and the best rates of the three best kinds that let the signal through; where none has
        learnt anything yet they are followed for longer, for many nets begin with a plateau. alone: of the
        rate that is a treatment by itself.
        """
        sound = [j for j in judged if not (j.left | j.new) - OF_RATE and j.trial.outcome is not None]
        sound = [j for j in sound if is_rated(j.trial.choices) and j.trial.choices not in self._climbed]
        found, steps = list(judged), self._look
        starts = [j for j in unlike(rank(sound), RATED) if not alone or is_setting(j.trial.choices)]
        self._climbed += [j.trial.choices for j in starts]
        longer = control.seconds * LONGER_LOOK / self._look
        stands = not alone and self._look < LONGER_LOOK and not any(j.learns for j in sound)
        if stands and longer * RATED < self._watch.left(RATES_SHARE):
            steps, control = LONGER_LOOK, stage.rehearse((), LONGER_LOOK)

        def followed(trial: Trial) -> Judged | None:
            if self._watch.share_gone > RATES_SHARE:
                return None
            tried = self._tried(stage, trial, steps, RATES_SHARE)
            return None if tried is None else judge(tried, control, self._wanted)

        for known in starts:
            start = known if steps == self._look else followed(known.trial) or known

            def attempt(choice: Choice, of: Trial = start.trial) -> Judged | None:
                return followed(Trial(at_rate(of.choices, choice), of.answers, None, of.order, of.works))

            best = climb(start, attempt)
            if best is not start:
                found.append(best)
            if start is not known:
                found[found.index(known)] = start
        return found

    def _first_looks(
        self, stage: Stage, trials: Sequence[Trial], control: Outcome, contest: bool
    ) -> tuple[list[Judged], list[Trial]]:
        """What the first steps of each were like, and those that were left out: once changes of one extent
        halve the loss those of larger extents are not needed but for another kind to fall back on, and a
        training stage is never rehearsed.
        """
        found: list[Judged] = []
        untried: list[Trial] = []
        for trial in self._in_order(trials, control):
            extent, _ = size_of_change(trial.choices)
            stage_of_its_own = EXTENTS[extent] == "stage"  # costs more than all rehearsals together
            if stage_of_its_own or self._is_enough(found, trial, extent):
                untried.append(trial)
                continue
            tried = self._tried(stage, trial, self._look, FIRST_SHARE)
            if tried is None:
                continue
            found.append(judge(tried, control, self._wanted, contest))
        return found, untried

    def _in_order(self, trials: Sequence[Trial], control: Outcome) -> list[Trial]:
        """The smallest change first if there is time for all, else one of each kind, as the lists have it."""
        if control.seconds * len(trials) > self._watch.left(FIRST_SHARE):
            return of_each_kind(trials)
        return sorted(trials, key=lambda t: (size_of_change(t.choices)[0], t.order))

    @staticmethod
    def _is_enough(found: Sequence[Judged], trial: Trial, extent: int) -> bool:
        """Whether two different kinds of no larger extent have halved the loss, or one that is like it."""
        good = [j for j in found if j.is_clear]
        smaller = [j for j in good if size_of_change(j.trial.choices)[0] < extent]
        if len(unlike(smaller, 2)) > 1:
            return True
        return any(are_alike(j.trial.choices, trial.choices) for j in smaller)

    def _tried(self, stage: Stage, trial: Trial, steps: int, share: float) -> Trial | None:
        """The trial with its outcome; None where it is refused, or the same as one before."""
        if self._watch.share_gone > share:
            if trial.outcome is not None:
                return trial
            if trial.works is False:
                self._listed.refuse(trial.choices, self._listed.closed_form(trial).reason)
                return None
            self.notes.append(f"{_spec(trial.choices)} was not tried: there was no more time")
            return trial
        try:
            outcome = stage.rehearse(trial.choices, steps)
        except Exception as error:
            self._listed.refuse(trial.choices, why(error))
            return None
        if trial.outcome is None:
            if outcome.choices in self._seen or outcome.losses in self._courses or not outcome.choices:
                return None
            self._seen.append(outcome.choices)
            if any(abs(a - b) > 0 for a, b in pairwise(outcome.losses)):
                self._courses.add(outcome.losses)
        return Trial(outcome.choices, trial.answers, outcome, trial.order, trial.works)

    def _proposal(self, trial: Trial, judged: Judged | None) -> Proposal:
        measured: dict[str, float] = {}
        outcome = trial.outcome
        if outcome is not None and judged is not None:
            measured = {
                "audibility_decades": outcome.decades,
                "loss_after_first_steps": outcome.last,
                "progress_nats": judged.progress,
                "first_steps_count": float(len(outcome.losses)),
            }
        said = self._listed.closed_form(trial)
        return Proposal(trial.choices, trial.answers, said.reason, said.before, said.predicted, measured)


def _spec(choices: Sequence[Choice]) -> str:
    return ",".join(str(choice) for choice in choices)
