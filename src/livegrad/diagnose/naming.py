"""How a sentence names layers: the numbers of a bare `nn.Sequential` say nothing alone."""

import re
from collections.abc import Sequence
from itertools import pairwise

_LONGEST = 80
# "3", "3.0", and a lane, a repetition or a time step of such: "3.l0", "3#2", "3[t=5]".
_NUMBER = re.compile(r"\d+(?:\.\d+)*(?:\.l\d+(?:_reverse)?)?(?:[\[#].*)?", re.ASCII)


_TIME = re.compile(r"(?P<whose>.*)\[t=(?P<step>\d+)\]", re.ASCII | re.DOTALL)


def is_number(name: str) -> bool:
    """Tell whether a layer is called by its place alone, as in a bare `nn.Sequential`."""
    return _NUMBER.fullmatch(name) is not None


def spoken(name: str, type: str | None = None) -> str:
    """Return a layer's name as a sentence has it: "encoder.fc1", but "layer 3" or "layer 3 (Linear)".

    Of a name too long to be read in a sentence the middle is left out, and more of its end is kept: in a
    dotted name that tells layers apart.
    """
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST // 3]}…{name[-(_LONGEST - _LONGEST // 3 - 1) :]}"
    if not is_number(name):
        return name
    return f"layer {name}" if type is None else f"layer {name} ({type})"


def span(first: str, last: str) -> str:
    """Return all layers from one to another, for reading: "a … z", of numbers "layers 0 to 46"."""
    if is_number(first) and is_number(last):
        return f"layers {first} to {last}"
    return f"{spoken(first)} … {spoken(last)}"


def layers_text(names: Sequence[str]) -> str | None:
    """Return layer names folded for reading: "a", "a and b", or "a … z (24 layers)"; of numbers "layer 3",
    "layers 3 and 5", or "layers 0 to 46 (24 of them)"; of time steps "rnn, time steps 0 to 66"; None for no
    names.
    """
    if not names:
        return None
    if len(names) == 1:
        return spoken(names[0])
    if (times := _times(names)) is not None:
        return times
    if all(map(is_number, names)):
        return _numbers(names)
    if len(names) == 2:
        return f"{spoken(names[0])} and {spoken(names[1])}"
    return f"{span(names[0], names[-1])} ({len(names)} layers)"


def _numbers(names: Sequence[str]) -> str:
    if len(names) == 2:
        return f"layers {names[0]} and {names[1]}"
    whole = all(name.isdecimal() for name in names)
    gapless = whole and all(int(after) - int(before) == 1 for before, after in pairwise(names))
    return span(names[0], names[-1]) + ("" if gapless else f" ({len(names)} of them)")


def _times(names: Sequence[str]) -> str | None:
    """Time steps of one recurrence; None where these names are anything else."""
    found = [match for name in names if (match := _TIME.fullmatch(name)) is not None]
    if len(found) < len(names) or len({match["whose"] for match in found}) > 1:
        return None
    steps = [int(match["step"]) for match in found]
    gapless = all(after - before == 1 for before, after in pairwise(steps))
    count = "" if gapless else f" ({len(steps)} of them)"
    return f"{spoken(found[0]['whose'])}, time steps {steps[0]} to {steps[-1]}{count}"
