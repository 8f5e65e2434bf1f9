"""Lists and runs written shortly, and floats so that Python reads the same number again."""

import math
import textwrap
from collections.abc import Sequence
from itertools import groupby


def as_slice(places: Sequence[int], total: int) -> str | None:
    """The slice of a list of `total` that takes `places`, "" for all; None where they are no run."""
    if list(places) != list(range(places[0], places[0] + len(places))):
        return None
    first, last = places[0], places[0] + len(places)
    if first == 0 and last == total:
        return ""
    return f"[{first or ''}:{'' if last == total else last}]"


def as_runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Places as runs of neighbours, (first, last + 1) of each, in their order."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def as_list(items: Sequence[str]) -> str:
    """Items as a list, repeated ones by a factor: [0.1, *[0.2] * 28, 0.3]."""
    runs = [(item, len(list(same))) for item, same in groupby(items)]
    return f"[{', '.join(item if n == 1 else f'*[{item}] * {n}' for item, n in runs)}]"


def as_number(value: float) -> str:
    """The shortest text that gives exactly this number, as a root where it is one of a small integer."""
    plain = repr(value)
    if len(plain) <= 8:
        return plain
    for n in range(2, 2049):
        if value == math.sqrt(n):
            return f"{n}**0.5"
        if value == 1 / math.sqrt(n):
            return f"1 / {n}**0.5"
    return plain


def wrapped(begin: str, items: str, end: str, width: int = 80) -> list[str]:
    """A bracket over several lines if it is long; items: what is in it, separated by commas."""
    if len(begin + items + end) <= width:
        return [begin + items + end]
    lines = textwrap.wrap(items, width, break_long_words=False, break_on_hyphens=False)
    return [begin, *(f"    {line}" for line in lines), end]
