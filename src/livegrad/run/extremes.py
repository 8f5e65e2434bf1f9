"""The smallest and the largest gradient of each tensor over stretches of steps, all recorded steps among
them, kept up as a run grows.
"""

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from livegrad.run.pulse_table import PulseTable

_BLOCK = 128


@dataclass(frozen=True)
class Extremes:
    """Arrays over B stretches of steps and T tensors.

    steps: (B,) the first of each stretch. stride: recorded steps in a stretch; the last may have fewer.
    tensor: (T,) ids, ascending. low, high: (B, T), of the gradient's norm where it is finite; NaN where it
    never was. broken: (B, T), where a NaN or an infinity was met. recorded: (B, T), where there was a row.
    turnover: (B, T) ‖W‖/‖ΔW‖ the first time that the update was sampled in the stretch, NaN where it was not.
    turnover_low, turnover_high: (B, T), over every sampled step of the stretch. unread: recorded rows that
    are not among them yet.
    """

    steps: np.ndarray
    stride: int
    tensor: np.ndarray
    low: np.ndarray
    high: np.ndarray
    broken: np.ndarray
    recorded: np.ndarray
    turnover: np.ndarray
    turnover_low: np.ndarray
    turnover_high: np.ndarray
    unread: int


class RunningExtremes:
    """The extremes of one subject, of at most `limit` stretches and from then on of at least half as many:
    when one more would be needed, two neighbours each become one.

    What is kept does not grow with the run. Raises ValueError for a limit under 2.
    """

    def __init__(self, limit: int) -> None:
        if limit < 2:
            raise ValueError("at least two stretches")
        self._limit = limit + limit % 2
        self._rows = 0
        self._count = 0
        self._last_step: int | None = None
        self._stride = 1
        self._steps: list[int] = []
        self._tensor = np.empty(0, np.int64)
        self._tables = {name: _table(name, self._limit, 0) for name in _TABLES}

    def extend(self, table: PulseTable, rows: np.ndarray, seconds: float | None = None) -> None:
        """Read those of `rows` (all of the subject's, ascending) that are new; seconds: for about so long."""
        end = None if seconds is None else time.monotonic() + seconds
        while self._rows < len(rows) and (end is None or time.monotonic() < end):
            block = table.like_rows(rows[self._rows : self._rows + _BLOCK])
            lists = {name: table.stacked(block, name) for name in _READ}
            if not np.isnan(lists["update_sum_squares"]).all():
                lists["weight_sum_squares"] = table.stacked(block, "weight_sum_squares")
            self._add(table.scalars["step"][block], lists)
            self._rows += len(block)

    def result(self, rows: int) -> Extremes:
        """What is known so far; rows: how many the subject has."""
        used = {name: values[: len(self._steps)].copy() for name, values in self._tables.items()}
        steps = np.array(self._steps, np.int64)
        low, high = np.sqrt(used.pop("low")), np.sqrt(used.pop("high"))
        return Extremes(
            steps=steps, stride=self._stride, tensor=self._tensor.copy(), low=low, high=high,
            unread=rows - self._rows, **used,
        )  # fmt: skip

    def _add(self, steps: np.ndarray, lists: dict[str, np.ndarray]) -> None:
        """Rows whose lists are of one length: steps (R,), lists (R, T)."""
        for start, stop in _runs(lists["tensor"]):
            place = self._places(lists["tensor"][start])
            values = {name: column[start:stop] for name, column in lists.items()}
            at = self._stretches(steps[start:stop])
            for first, last in _runs(at[:, None]):
                # Only the stretches of the newest rows can have been joined since.
                self._add_stretch(int(at[first]), place, {n: v[first:last] for n, v in values.items()})

    def _stretches(self, steps: np.ndarray) -> np.ndarray:
        """The stretch of each step; makes new ones, and room for them."""
        before = self._last_step
        fresh = np.diff(steps, prepend=steps[0] - 1 if before is None else before) != 0
        number = self._count - 1 + np.cumsum(fresh)
        self._count, self._last_step = int(number[-1]) + 1, int(steps[-1])
        while number[-1] // self._stride >= self._limit:
            self._join()
        at = number // self._stride
        for stretch, step in zip(at.tolist(), steps.tolist(), strict=True):
            if stretch == len(self._steps):
                self._steps.append(step)
        return at

    def _add_stretch(self, at: int, place: np.ndarray, values: dict[str, np.ndarray]) -> None:
        squares, nonfinite = values["gradient_sum_squares_by_tensor"], values["gradient_nonfinite"]
        tables = self._tables
        if nonfinite.any() or not np.isfinite(squares).all():
            bad = (nonfinite > 0) | ((nonfinite >= 0) & ~np.isfinite(squares))
            tables["broken"][at, place] |= bad.any(axis=0)
            squares = np.where((nonfinite == 0) & np.isfinite(squares), squares, np.nan)
        tables["low"][at, place] = np.fmin(tables["low"][at, place], np.fmin.reduce(squares, axis=0))
        tables["high"][at, place] = np.fmax(tables["high"][at, place], np.fmax.reduce(squares, axis=0))
        tables["recorded"][at, place] = True
        if "weight_sum_squares" in values:
            self._add_turnover(at, place, values["weight_sum_squares"], values["update_sum_squares"])

    def _add_turnover(self, at: int, place: np.ndarray, weight: np.ndarray, update: np.ndarray) -> None:
        sampled = np.flatnonzero(~np.isnan(update).all(axis=1))
        if not len(sampled):
            return
        turnover = _turnover(weight[sampled], update[sampled])
        for name, now in (
            ("turnover", turnover[0]),
            ("turnover_low", np.fmin.reduce(turnover, axis=0)),
            ("turnover_high", np.fmax.reduce(turnover, axis=0)),
        ):
            table = self._tables[name]
            table[at, place] = _TABLES[name][1](table[at, place], now)

    def _places(self, ids: np.ndarray) -> np.ndarray:
        """Where these tensors stand; makes room for new ones."""
        if len(new := np.setdiff1d(ids, self._tensor)):
            tensor = np.union1d(self._tensor, new).astype(np.int64)
            old = np.searchsorted(tensor, self._tensor)
            for name, values in self._tables.items():
                wider = _table(name, self._limit, len(tensor))
                wider[:, old] = values
                self._tables[name] = wider
            self._tensor = tensor
        return np.searchsorted(self._tensor, ids)

    def _join(self) -> None:
        """Make one stretch of two neighbours each."""
        for name, values in self._tables.items():
            joined = _table(name, self._limit, values.shape[1])
            joined[: self._limit // 2] = _TABLES[name][1](values[0::2], values[1::2])
            self._tables[name] = joined
        self._steps = self._steps[0::2]
        self._stride *= 2


def _first(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(a), b, a)


# What an empty cell holds, and how two cells become one.
_TABLES = {
    "low": (np.nan, np.fmin),
    "high": (np.nan, np.fmax),
    "broken": (False, np.logical_or),
    "recorded": (False, np.logical_or),
    "turnover": (np.nan, _first),
    "turnover_low": (np.nan, np.fmin),
    "turnover_high": (np.nan, np.fmax),
}
_READ = ("tensor", "gradient_sum_squares_by_tensor", "gradient_nonfinite", "update_sum_squares")


def _table(name: str, stretches: int, tensors: int) -> np.ndarray:
    return np.full((stretches, tensors), _TABLES[name][0])


def _turnover(weight: np.ndarray, update: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(weight / update)


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of each run of equal neighbours among the rows of (R, K)."""
    edges = np.flatnonzero((values[1:] != values[:-1]).any(axis=1)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return list(pairwise(bounds))
