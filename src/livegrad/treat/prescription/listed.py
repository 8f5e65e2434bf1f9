"""The candidates for one body's findings with their variants filled in, and what closed form says of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from livegrad.errors import LivegradError
from livegrad.treat.body import Body
from livegrad.treat.choice import Choice, parse_choices
from livegrad.treat.heard import HEARD
from livegrad.treat.prescription.candidates import Candidate, candidates
from livegrad.treat.prescription.extent import EXTENTS, extent_of
from livegrad.treat.prescription.lesson import Lesson
from livegrad.treat.prescription.proposal import Refusal
from livegrad.treat.prescription.ranking import Trial
from livegrad.treat.prescription.rates import OF_RISES, rates_from_zero, rates_that_rise
from livegrad.treat.prescription.resorts import resorts
from livegrad.treat.prescription.starts import starts_anew, starts_of_recurrence
from livegrad.treat.remedies import remedy
from livegrad.treat.remedy import Assessment
from livegrad.treat.weight_bounds.decay import too_strong

# What weights that decay to nothing lead to.
OF_DECAY = frozenset({"LG101", "LG102", "LG202", "LG203", "LG401", "LG402", "LG503"})

VANISHING = frozenset({"LG101", "LG102"})


class Listed:
    """What may answer `findings` of `body`, by the tables and by closed form. refused: what cannot."""

    def __init__(self, body: Body, findings: Sequence[Mapping[str, Any]], lessons: Sequence[Lesson]) -> None:
        self.refused: list[Refusal] = []
        self.wanted = frozenset(str(f["code"]) for f in findings)
        self._body = body
        self._findings = findings
        self._lessons = lessons
        self._said: dict[tuple[str, str], tuple[Choice, Assessment]] = {}

    def trials(self) -> list[Trial]:
        """The findings' own treatments, in the order of their lists, but for those that are refused."""
        own = candidates(self._findings)
        known = [choices for choices, _ in own]
        starts = [s for s in starts_of_recurrence(self._body, self.wanted) if s[0] not in known]
        first = [*self._of_settings(), *starts_anew(self._body, self.wanted)]
        if self._is_forgotten(starts):
            return self._trials([*first, *starts, *own])
        return self._trials([*first, *own, *starts])

    def _is_forgotten(self, starts: Sequence[Candidate]) -> bool:
        """Whether the first time step is not heard, and would be with one of these starts of a recurrence."""
        for choices, codes in starts:
            try:
                said = self.assessed(choices[0], codes[0])[1]
            except Exception:  # why it cannot be assessed is said where it is tried
                continue
            if said.works and said.before.get("decades_over_sequence", 0.0) < -HEARD:
                return True
        return False

    def resorts(self, behind: int) -> list[Trial]:
        """Those for when none of these cures. behind: how many they are."""
        return self._trials(resorts(self._findings), behind)

    def _of_settings(self) -> list[Candidate]:
        """What the program's own settings ask for: a rate other than zero, a bound on rates that rise, weaker
        decay.
        """
        found: list[Candidate] = []
        if rise := tuple(sorted(self.wanted & OF_RISES)):
            found += [((cap,), rise) for cap in rates_that_rise(self._lessons)]
        if slow := tuple(sorted(self.wanted & {"LG401", "LG503"})):
            found += [((rate,), slow) for rate in rates_from_zero(self._body.optimizers)]
        faint = tuple(sorted(self.wanted & OF_DECAY))
        if faint and too_strong(self._body.optimizers) is not None:
            found.append((parse_choices("regularize=decay"), faint))
            # What is learnt at a higher rate such decay would take away as fast.
            found += [(parse_choices("regularize=decay,schedule=rate"), slow)] if slow else []
        return found

    def _trials(self, lists: list[Candidate], first: int = 0) -> list[Trial]:
        pairs = enumerate(lists, first)
        found = [self._trial(order, choices, codes) for order, (choices, codes) in pairs]
        return [trial for trial in found if trial is not None]

    def _trial(self, order: int, choices: tuple[Choice, ...], codes: tuple[str, ...]) -> Trial | None:
        """The candidate with its first variant filled in, or None where it is refused for all of `codes` and
        nothing beside it could make up for that: for another start or form of the net no learning rate does,
        nor clipping where it vanishes.
        """
        try:
            said = {code: self.assessed(choices[0], code) for code in codes}
        except Exception as error:
            self.refuse(choices, why(error))
            return None
        answered = tuple(code for code in codes if said[code][1].works is not False)
        first, assessment = said[(answered or codes)[0]]
        no_help = {"schedule", "clip"} if set(codes) <= VANISHING else {"schedule"}
        alone = len(choices) == 1 or extent_of((first,)) != EXTENTS[0]
        if not answered and alone and {choice.remedy for choice in choices[1:]} <= no_help:
            self.refuse((first, *choices[1:]), assessment.reason)
            return None
        answers = answered or codes
        together = (first, *self._settled(first, choices[1:], answers[0]))
        return Trial(together, answers, None, order, assessment.works)

    def _settled(self, first: Choice, others: Sequence[Choice], code: str) -> list[Choice]:
        """The choices that go along with a setting, as the finding asks for them; of a model whose weights or
        form are changed before, what was recorded is no measure.
        """
        if extent_of((first,)) != EXTENTS[0]:
            return list(others)
        return [self.assessed(choice, code)[0] for choice in others]

    def assessed(self, choice: Choice, code: str) -> tuple[Choice, Assessment]:
        """The choice with its variant filled in, and what closed form says of it against this finding."""
        key = (str(choice), code)
        if key not in self._said:
            self._body.finding = next(f for f in self._findings if f["code"] == code)
            cure = remedy(choice.remedy)
            resolved = cure.resolve(self._body, choice)
            said = cure.assess(self._body, resolved)
            self._said[key] = self._said[str(resolved), code] = (resolved, said)
        return self._said[key]

    def closed_form(self, trial: Trial) -> Assessment:
        """What closed form says of a candidate, by its first choice."""
        return self.assessed(trial.choices[0], trial.answers[0])[1]

    def refuse(self, choices: tuple[Choice, ...], reason: str) -> None:
        """Say once that a candidate cannot work, and why."""
        if all(r.choices != choices for r in self.refused):
            self.refused.append(Refusal(choices, reason))


def why(error: Exception) -> str:
    """What a remedy says, or that it fails: then the others are still worth trying."""
    return str(error) if isinstance(error, LivegradError) else f"it fails ({type(error).__name__}: {error})"
