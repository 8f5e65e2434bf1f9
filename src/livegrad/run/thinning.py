"""Which recorded steps to show when there are too many: evenly spaced, but never without the extremes."""

from itertools import pairwise

import numpy as np

from livegrad.errors import UsageError
from livegrad.run.pulse_table import PulseTable


def thinned_rows(table: PulseTable, rows: np.ndarray, limit: int | None) -> np.ndarray:
    """`rows` of the table, thinned to about `limit` (None: all of them); ascending.

    Every optimizer of every subject is thinned by itself and gets its share of the limit, at least two rows:
    even spacing over rows that alternate would show only one of them.
    """
    _check(limit)
    if limit is None or len(rows) <= limit:
        return rows
    owner = np.stack([table.scalars["subject"][rows], table.scalars["optimizer"][rows]])
    _, group = np.unique(owner, axis=1, return_inverse=True)
    norm, alarming, preferred = _signals(table, rows)
    kept = []
    for number in range(group.max() + 1):
        own = np.flatnonzero(group == number)
        share = max(2, limit * len(own) // len(rows))
        kept.append(rows[own[thin(norm[own], alarming[own], preferred[own], share)]])
    return np.sort(np.concatenate(kept))


def _signals(table: PulseTable, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `thin` looks at."""
    scalars = table.scalars
    with np.errstate(invalid="ignore"):
        norm = np.sqrt(scalars["gradient_sum_squares"][rows])
    loss_broken = scalars["loss_known"][rows] & ~np.isfinite(scalars["loss"][rows])
    alarming = (scalars["nonfinite"][rows] > 0) | ~np.isfinite(norm) | loss_broken
    return norm, alarming, table.updates_sampled()[rows]


def thin(norm: np.ndarray, alarming: np.ndarray, preferred: np.ndarray, limit: int | None) -> np.ndarray:
    """Row numbers to keep, ascending, at most `limit` of them (None: all).

    `norm` (S,) is the total gradient norm of each row, `alarming` (S,) marks rows with anything non-finite,
    and `preferred` (S,) rows that hold more than others (those whose update was sampled).

    The rule: the first and the last row; then, with the rows cut into (limit − 2) // 3 equal buckets, from
    each bucket the row of the largest finite norm and the first alarming row; the rest of the limit is
    spent on equal slots, from each its first preferred row, or its first row where none is preferred.
    Raises UsageError for a limit under 2.
    """
    count = len(norm)
    if limit is not None and limit < 2:
        raise UsageError(
            f"limit={limit} is too small: give at least 2 (the first and the last row), or None for all"
        )
    if limit is None or count <= limit:
        return np.arange(count)
    kept = {0, count - 1} | _extremes(norm, alarming, (limit - 2) // 3)
    return np.array(sorted(kept | _even(preferred, limit - len(kept))), np.int64)


def _check(limit: int | None) -> None:
    if limit is not None and limit < 2:
        raise UsageError(
            f"limit={limit} is too small: give at least 2 (the first and last row), or None for all"
        )


def _edges(count: int, parts: int) -> np.ndarray:
    return np.linspace(0, count, parts + 1).round().astype(np.int64)


def _extremes(norm: np.ndarray, alarming: np.ndarray, buckets: int) -> set[int]:
    height = np.where(np.isfinite(norm), norm, -np.inf)
    edges = _edges(len(norm), buckets) if buckets else []
    kept = set()
    for start, stop in pairwise(edges):
        kept.add(int(start + np.argmax(height[start:stop])))
        first = int(start + np.argmax(alarming[start:stop]))
        if alarming[first]:
            kept.add(first)
    return kept


def _even(preferred: np.ndarray, slots: int) -> set[int]:
    if slots <= 0:
        return set()
    edges = _edges(len(preferred), slots)
    # argmax of booleans is the first True, or 0 where there is none.
    return {int(start + np.argmax(preferred[start:stop])) for start, stop in pairwise(edges)}
