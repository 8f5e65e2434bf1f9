"""How much a treatment changes, from a number that is set to a training of its own."""

from collections.abc import Iterable

from livegrad.treat.choice import Choice

EXTENTS = ("setting", "weights", "activation", "modules", "architecture", "stage")
"""In ascending order: a number of the training, the weights' first values, a swapped activation, inserted
modules, another architecture, a training stage before the training.
"""

_OF_REMEDY = {
    "clip": "setting", "schedule": "setting", "precision": "setting", "regularize": "setting",
    "init": "weights", "recurrent": "weights", "activation": "activation", "normalize": "modules",
    "skip": "architecture", "pretrain": "stage",
}  # fmt: skip
# Numbers that are subtracted from the data and divided by.
_OF_VARIANT = {("normalize", "input"): "setting"}


def extent_of(choices: Iterable[Choice]) -> str:
    """The largest of what each of `choices` changes; "modules" for a remedy that is not known here."""
    found = (
        _OF_VARIANT.get((choice.remedy, choice.variant)) or _OF_REMEDY.get(choice.remedy, "modules")
        for choice in choices
    )
    return max(found, key=EXTENTS.index, default=EXTENTS[0])


def size_of_change(choices: Iterable[Choice]) -> tuple[int, int]:
    """What to compare two treatments by: the place of their extent in EXTENTS, and how many they combine."""
    several = tuple(choices)
    return EXTENTS.index(extent_of(several)), len(several)
