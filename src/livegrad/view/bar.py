"""Bars and sparklines out of terminal characters."""

import math
from collections.abc import Sequence
from itertools import pairwise

from livegrad.diagnose.number import log10

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"
_PLAIN_LEVELS = "_.-=+*#"


def bar(share: float | None, width: int, unicode: bool = True) -> str:
    """Return a bar that fills `share` (0 to 1) of `width` cells from the left; blank for None and NaN.

    A share above zero always shows something.
    """
    if share is None or math.isnan(share):
        return " " * width
    share = min(max(share, 0.0), 1.0)
    if not unicode:
        return ("#" * max(round(share * width), int(share > 0))).ljust(width)
    eighths = max(round(share * width * 8), int(share > 0))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def diverging_bar(value: float | None, low: float, high: float, width: int, unicode: bool = True) -> str:
    """Return a bar that leaves an axis at 0 to the left for `value` < 0 and to the right for `value` > 0.

    Args:
        value: where the bar ends; clipped to low…high, an arrow marks infinities. None, NaN: the axis alone.
        low: the value at the left end, below 0.
        high: the value at the right end, above 0.
        width: cells, the axis included.
    """
    axis, full, half = ("│", "█", "▐▌") if unicode else ("|", "#", "##")
    left = min(max(round((width - 1) * -low / (high - low)), 1), width - 2)
    right = width - 1 - left
    if value is None or math.isnan(value):
        return " " * left + axis + " " * right
    limit, cells = (low, left) if value < 0 else (high, right)
    halves = round(min(value / limit, 1.0) * cells * 2)
    body = full * (halves // 2)
    if value < 0:
        body = (half[0] + body if halves % 2 else body).rjust(left)
        body = ("◀" if unicode else "<") + body[1:] if math.isinf(value) else body
        return body + axis + " " * right
    body = (body + half[1] if halves % 2 else body).ljust(right)
    body = body[:-1] + ("▶" if unicode else ">") if math.isinf(value) else body
    return " " * left + axis + body


def decade_range(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Return the smallest and largest decimal logarithm of the positive, finite values; None without one."""
    logs = [log for log in map(log10, values) if log is not None and math.isfinite(log)]
    return (min(logs), max(logs)) if logs else None


def sparkline(values: Sequence[float], width: int, unicode: bool = True) -> str:
    """Return one character per equal stretch of `values`, as high as its mean; `!` where not finite."""
    levels = _LEVELS if unicode else _PLAIN_LEVELS
    if not len(values):
        return ""
    cells = min(width, len(values))
    edges = [len(values) * i // cells for i in range(cells + 1)]
    parts = [list(map(float, values[a:b])) for a, b in pairwise(edges)]
    means = [sum(part) / len(part) for part in parts]
    finite = [mean for mean in means if math.isfinite(mean)]
    if not finite:
        return "!" * cells
    return "".join(_level(mean, min(finite), max(finite), levels) for mean in means)


def _level(value: float, low: float, high: float, levels: str) -> str:
    if not math.isfinite(value):
        return "!"
    # Halved first: the distance between two floats can be more than the largest of them.
    span = high / 2 - low / 2
    return levels[round((value / 2 - low / 2) / span * (len(levels) - 1))] if span > 0 else levels[0]
