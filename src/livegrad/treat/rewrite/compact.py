"""Lists and runs written shortly, and floats so that Python reads the same number again."""

import math
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


def as_list(items: Sequence[str]) -> str:
    """Items as a list, repeated ones by a factor: [0.1, *[0.2] * 28, 0.3]."""
    runs = [(item, len(list(same))) for item, same in groupby(items)]
    if len(runs) == 1:
        return f"[{runs[0][0]}] * {runs[0][1]}"
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
