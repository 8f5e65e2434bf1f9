"""An order in which the next proposal is of another kind: where the first does not cure, one that is like it
will not either.
"""

from collections.abc import Sequence
from math import isfinite

from livegrad.treat.choice import Choice
from livegrad.treat.prescription.extent import EXTENTS, extent_of
from livegrad.treat.prescription.ranking import Judged, Trial

# Settings that go along with another remedy.
_BESIDE = frozenset({"schedule", "clip", "regularize"})


def are_alike(one: Sequence[Choice], other: Sequence[Choice]) -> bool:
    """Say whether two treatments rest on the same thing: one holds the other's remedies, or what changes
    most is the same remedy in both.
    """
    first, second = _kinds(one), _kinds(other)
    return first <= second or second <= first or _principal(one) == _principal(other)


def varied(judged: Sequence[Judged]) -> list[Judged]:
    """The same, the best first: behind it the best of those that are unlike it and learn, then one that is
    unlike both, then the others in their order. Where the first has not clearly learnt either, one that is
    unlike it and does no harm will do.
    """
    rest, found = list(judged), []
    while rest and len(found) < 3:
        other = [j for j in rest if not any(are_alike(j.trial.choices, k.trial.choices) for k in found)]
        good = [j for j in other if j.cures] or [j for j in other if j.learns and not j.left]
        if not good and found and not (found[0].is_clear):
            good = [j for j in other if isfinite(j.progress) and not j.left and not j.new] or other
        following = rest[0] if not found else next(iter(good), None)
        if following is None:
            break
        found.append(following)
        rest.remove(following)
    return [*found, *rest]


def of_each_kind(trials: Sequence[Trial]) -> list[Trial]:
    """The same in turns: the first of each kind, then the second of each; for where not all can be tried."""
    kinds: dict[frozenset[str], list[Trial]] = {}
    for trial in sorted(trials, key=lambda t: t.order):
        kinds.setdefault(_kinds(trial.choices), []).append(trial)
    turns = [(turn, place, t) for place, ts in enumerate(kinds.values()) for turn, t in enumerate(ts)]
    return [trial for _, _, trial in sorted(turns, key=lambda entry: entry[:2])]


def unlike(judged: Sequence[Judged], number: int) -> list[Judged]:
    """The first `number` of them no two of which are alike."""
    found: list[Judged] = []
    for j in judged:
        if len(found) < number and not any(are_alike(j.trial.choices, k.trial.choices) for k in found):
            found.append(j)
    return found


def _kinds(choices: Sequence[Choice]) -> frozenset[str]:
    beside = frozenset(_kind(choice) for choice in choices if choice.remedy in _BESIDE)
    kinds = frozenset(map(_kind, choices))
    return (kinds - beside) or kinds


def _kind(choice: Choice) -> str:
    """The remedy; of a recurrence also the variant, for what they hold on to differs: where identity matrices
    fail, orthogonal ones need not.
    """
    return str(Choice(choice.remedy, choice.variant)) if choice.remedy == "recurrent" else choice.remedy


def _principal(choices: Sequence[Choice]) -> str:
    largest = max(choices, key=lambda choice: EXTENTS.index(extent_of((choice,))))
    return _kind(largest)
